"""The simulation's command line and figures."""

import argparse
import multiprocessing
from functools import partial
from pathlib import Path

import pytest
import trio

from p2pacs.line.pacing import NO_OVERHEAD, TLS_OVER_TCP
from scripts import bench, sim
from scripts.program import ScriptError, leaves
from tests.simulation.halves import Half


def test_options_become_a_plan() -> None:
    plan = sim.plan(bench.parse(["sim", "--members", "5", "--up", "8mbit", "--delay", "30ms"]))
    assert (plan.members, plan.up, plan.delay) == (5, 1_000_000, 0.03)
    assert plan.neighbours is None
    assert plan.overhead == NO_OVERHEAD
    assert sim.plan(bench.parse(["sim", "--headers"])).overhead == TLS_OVER_TCP
    assert sim.plan(bench.parse(["sim", "--members", "300"])).neighbours == sim.NEIGHBOURS


@pytest.mark.parametrize("arguments", [["--delay", "21"], ["--up", "fast"], ["--loss", "much"]])
def test_wrong_options_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench.parse(["sim", *arguments])
    assert "error:" in capsys.readouterr().err


def figures(folder: Path, given: argparse.Namespace) -> sim.Figures:
    return trio.run(partial(sim.run, folder, given), clock=sim.clock())


def test_a_run_gives_its_figures_and_the_next_one_the_same(tmp_path: Path) -> None:
    given = bench.parse(["sim", "--members", "3", "--mb", "1", "--kill-broker"])
    one, same = figures(tmp_path, given), figures(tmp_path, given)
    for run in (one, same):
        run.pop("wall_seconds")
        run.pop("cpu_seconds")
    assert one == same
    assert one["members"] == 3
    assert 0 < one["first"] <= one["median"] <= one["last"]
    assert one["ratio"] == pytest.approx(one["last"] / one["fluid"], abs=0.001)
    assert one["message_bytes"]["Block"] > 3 * one["bytes"]
    assert len(one["uplinks_used"]["replicas"]) >= 10


def test_two_processes_simulate_the_same_world(tmp_path: Path) -> None:
    options = ["sim", "--members", "6", "--mb", "3", "--kill-broker", "--headers", "--processes"]
    two, same = (figures(tmp_path, bench.parse([*options, "2"])) for _ in range(2))
    one = figures(tmp_path, bench.parse([*options, "1"]))
    for run in (two, same):
        run.pop("wall_seconds")
        run.pop("cpu_seconds")
    assert two == same
    assert (two["members"], two["bytes"], two["fluid"]) == (6, one["bytes"], one["fluid"])
    assert two["last"] == pytest.approx(one["last"], rel=0.03)
    assert two["wire_over_payload"] == pytest.approx(one["wire_over_payload"], rel=0.01)
    assert two["message_bytes"]["Block"] > 6 * two["bytes"]
    assert len(two["uplinks_used"]["members"]) >= 10


def test_segments_are_lost_in_one_process_alone(tmp_path: Path) -> None:
    given = bench.parse(["sim", "--members", "2", "--loss", "0.1", "--processes", "2"])
    with pytest.raises(ScriptError, match="--processes 1"):
        figures(tmp_path, given)


def test_the_end_of_the_other_process_is_an_error(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    theirs.close()
    given = bench.parse(["sim", "--members", "2", "--mb", "0.1"])
    half = Half(0, ours, given.delay)
    with pytest.raises(ExceptionGroup) as caught:
        trio.run(partial(sim.simulated, tmp_path, given, half), clock=sim.clock())
    assert ["other half" in str(error) for error in leaves(caught.value)] == [True]
