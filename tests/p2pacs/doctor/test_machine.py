"""Each fault is really made, or what would tell of it is handed in."""

import socket
from pathlib import Path

import pytest

from p2pacs.doctor.examination import examine
from p2pacs.doctor.machine import (
    DESCRIPTORS,
    FLUSHES,
    clock_kept,
    descriptor_check,
    flush_check,
    machine_checks,
    port_check,
)
from p2pacs.process.health import Health
from p2pacs.units import Endpoint
from tests.components import HOST, free_port


async def test_a_machine_in_order(tmp_path: Path) -> None:
    where = Endpoint(HOST, free_port())
    planned = machine_checks(tmp_path, tmp_path / "store", [("api", where)], running=False)
    checks = {one.name: one for one in await examine(planned, seconds=100)}
    assert list(checks) == [
        "Folder",
        "Disk of the store",
        "Speed of the disk",
        "Clock",
        "Open files",
        "Image workers",
        "Port of api",
    ]
    for name in ("Folder", "Image workers", "Port of api"):
        assert checks[name].state is Health.GOOD, checks[name]
    assert [path for path in tmp_path.iterdir() if path.name != "store"] == []


async def test_a_folder_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    planned = machine_checks(file, file, [], running=False)
    [folder, _, flush, *_] = await examine(planned, seconds=100)
    assert (folder.state, flush.state) == (Health.BAD, Health.BAD)


async def test_a_port_that_another_program_holds() -> None:
    with socket.create_server((HOST, 0)) as other:
        where = Endpoint(HOST, other.getsockname()[1])
        [check] = await port_check("dicom", where, running=False)
    assert check.state is Health.BAD
    assert str(where) in check.what
    assert "Another program holds it" in check.advice


async def test_an_address_that_is_not_of_this_machine() -> None:
    [check] = await port_check("listen", Endpoint("198.51.100.7", 4711), running=False)
    assert check.state is Health.BAD
    assert "not one of this machine" in check.advice


async def test_a_program_that_runs_answers_at_its_port_or_not() -> None:
    with socket.create_server((HOST, 0)) as ours:
        port = ours.getsockname()[1]
        for host in (HOST, "0.0.0.0"):  # noqa: S104
            [check] = await port_check("api", Endpoint(host, port), running=True)
            assert check.state is Health.GOOD
    [check] = await port_check("api", Endpoint(HOST, free_port()), running=True)
    assert check.state is Health.BAD
    assert "Restart it" in check.advice


async def test_any_free_port_is_no_matter() -> None:
    [check] = await port_check("web.listen", Endpoint(HOST, 0), running=True)
    assert check.state is Health.GOOD


@pytest.mark.parametrize(("seconds", "state"), [(0.002, Health.GOOD), (0.3, Health.LOOK)])
def test_a_slow_disk_is_told_by_its_flushes(tmp_path: Path, seconds: float, state: Health) -> None:
    times = iter(number * seconds for number in range(2 * FLUSHES))
    check = flush_check(tmp_path, lambda: next(times))
    assert check.state is state
    assert f"{seconds * 1000:.1f} ms" in check.what


@pytest.mark.parametrize(
    ("said", "state"), [(0, Health.GOOD), (5, Health.LOOK), (None, Health.GOOD)]
)
def test_a_clock_that_nothing_keeps_right(said: int | None, state: Health) -> None:
    assert clock_kept(lambda: said).state is state


def test_the_kernel_is_asked_for_its_clock() -> None:
    assert clock_kept().name == "Clock"


@pytest.mark.parametrize(
    ("most", "state"),
    [(1024, Health.LOOK), (DESCRIPTORS, Health.GOOD), (None, Health.GOOD)],
)
def test_few_open_files(most: int | None, state: Health) -> None:
    assert descriptor_check(lambda: most).state is state
    assert descriptor_check().name == "Open files"
