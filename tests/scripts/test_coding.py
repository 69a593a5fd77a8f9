"""What a series is coded to: every byte has its place in the figures, and goals are asked."""

import json
from pathlib import Path

import pytest
import trio

from p2pacs.study.images import Coding
from scripts import bench, coding, phantom
from scripts.coding import GOALS, POOLED, RUNS, CodingFigures, Seconds, best, in_order, printed
from scripts.rivals import CodecTally
from scripts.series import Series
from tests.conformance.instances import make

SMALLEST = Coding.SMALLEST


def test_codings() -> None:
    assert bench.parse(["coding", "--dicom", "x"]).coding is Coding.SMALLEST
    given = bench.parse(["coding", "--dicom", "x", "--coding", "progressive"])
    assert given.coding is Coding.PROGRESSIVE
    with pytest.raises(SystemExit):
        bench.parse(["coding", "--dicom", "x", "--coding", "lossy"])


@pytest.mark.parametrize("wanted", list(Coding))
async def test_a_series_is_published_and_read_back(tmp_path: Path, wanted: Coding) -> None:
    phantom.write(tmp_path / "ct", phantom.slices(2))
    phantom.write(tmp_path / "mr", [make("1.2.3", number=n, modality="MR") for n in (1, 2, 3)])
    given = bench.parse(["coding", "--dicom", str(tmp_path), "--coding", str(wanted)])
    said = json.loads(json.dumps(await coding.run(tmp_path, given)))
    assert [one["name"] for one in said["series"]] == ["ct", "mr"]
    assert said["passed"]
    for one in (*said["series"], said["pooled"]):
        assert one["exact"]
        assert one["bytes"] == one["header_bytes"] + one["pixel_bytes"]
        parts = ("coded_header_bytes", "coded_pixel_bytes", "preview_bytes", "manifest_bytes")
        assert one["coded_bytes"] == sum(one[part] for part in parts)
        assert 0 < one["manifest_bytes"] < one["coded_bytes"]
        assert all(rate > 0 for way in ("encode", "decode") for rate in one[f"{way}_mb_s"].values())
        assert one["zstd9"]["ratio"] > 1
    ct = said["series"][0]
    assert bool(ct["preview_bytes"]) == (wanted is Coding.SMALLEST)
    assert ct["htj2k"]["ratio"] > 1


def measured(ratio: float, exact: bool = True) -> CodingFigures:
    return CodingFigures(1, size=round(ratio * 1000), coded=1000, exact=exact)


def named(name: str) -> Series:
    return Series(name, "CT", ())


def test_goals_are_asked_of_the_series_that_are_there() -> None:
    said = printed([(named("ct-ge"), measured(5.3)), (named("other"), measured(1.1))], SMALLEST)
    assert said["goals"] == {"ct-ge": {"goal": 5.2, "ratio": 5.3, "passed": True}}
    assert said["passed"]
    assert not printed([(named("ct-ge"), measured(5.1))], SMALLEST)["passed"]
    assert not printed([(named("other"), measured(9, exact=False))], SMALLEST)["passed"]
    assert printed([(named("ct-ge"), measured(5.1))], Coding.PROGRESSIVE)["passed"]


def test_the_pooled_goal_is_asked_of_all_series_together() -> None:
    series = [(named(name), measured(goal)) for name, goal in GOALS.items() if name != POOLED]
    said = printed(series, SMALLEST)
    assert said["goals"][POOLED]["ratio"] == round((5.2 + 5.2 + 4.5 + 5.8) / 4, 3)
    assert not said["passed"]


def test_pooled_figures_are_sums() -> None:
    one = CodingFigures(2, 3000, 1000, header=10, pixel=2990, coded_pixel=900, preview=50)
    one.encoding, one.rivals = Seconds(3.0, 1.5), {"zstd9": CodecTally(3000, 3000, 1500)}
    both = CodingFigures()
    for _ in range(2):
        both.add(one)
    figures = both.figures()
    assert (figures["instances"], figures["bytes"], figures["ratio"]) == (4, 6000, 3.0)
    assert figures["manifest_bytes"] == 100
    assert figures["zstd9"]["ratio"] == 2.0
    assert both.encoding == Seconds(6.0, 3.0)


async def test_results_come_in_order_however_long_each_takes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def work(seconds: int) -> int:
        await trio.sleep(seconds)
        return seconds

    taken: list[int] = []
    await in_order(work, [3, 1, 2], taken.append)
    assert taken == [3, 1, 2]


async def test_the_best_run_counts() -> None:
    pauses = [0.02, 0.0, 0.02]

    async def work() -> int:
        await trio.sleep(pauses.pop())
        return len(pauses)

    result, seconds = await best(work)
    assert (result, len(pauses)) == (0, 3 - RUNS)
    assert seconds < 0.02
