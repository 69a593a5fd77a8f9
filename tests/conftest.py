"""What every test shares: which components are here, reproducible hypothesis, real data."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from hypothesis import settings
from trio.testing import MockClock

from p2pacs.process import heap
from peer.config import VIEWER
from peer.viewer.installed import read_installed
from scripts.chromium import Chromium, find_chromium, open_chromium
from scripts.lab import shell
from scripts.lab.homes import nft_program
from scripts.program import ScriptError
from tests import components, gdcm_native, small_disk, wg04
from tests.order import ordered

REQUIRE_ALL = os.environ.get("P2PACS_REQUIRE") == "all"
DATA = os.environ.get("P2PACS_DICOM_DATA")
DCMTK_TOOLS = ("echoscu", "findscu", "movescu", "getscu", "storescu", "storescp")

settings.register_profile("p2pacs", derandomize=True, deadline=None, database=None)
settings.load_profile("p2pacs")


def _orthanc_missing() -> str | None:
    if shutil.which("Orthanc", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"):
        return None
    return "Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)"


def _dcmtk_missing() -> str | None:
    missing = [tool for tool in DCMTK_TOOLS if shutil.which(tool) is None]
    return f"DCMTK's {', '.join(missing)} not found (Debian: dcmtk)" if missing else None


def _data_missing() -> str | None:
    if DATA is None or Path(DATA).is_dir():
        return None
    return f"P2PACS_DICOM_DATA={DATA} is no folder"


@cache
def _lab_missing() -> str | None:
    try:
        shell.way_in()
    except ScriptError as error:
        return str(error)
    return None


def _nat_missing() -> str | None:
    if nft_program() is None:
        return "nft is not installed (Debian: nftables)"
    return _lab_missing()


def _miniupnpd_missing() -> str | None:
    if components.miniupnpd_program() is None:
        return "miniupnpd is not installed (Debian: miniupnpd-nftables)"
    return _nat_missing()


def _postgresql_missing() -> str | None:
    if components.postgresql_programs() is not None:
        return None
    return "PostgreSQL is not installed (Debian: postgresql)"


def _chromium_missing() -> str | None:
    return None if find_chromium() else "Chromium is not installed (Debian: chromium)"


def _nginx_missing() -> str | None:
    if components.nginx_program() is not None:
        return None
    return "nginx is not installed (Debian: nginx-light)"


def _nft_missing() -> str | None:
    return None if shutil.which("nft") else "nftables is not installed (Debian: nftables)"


def _viewer_missing() -> str | None:
    there = read_installed(Path(sys.prefix) / VIEWER)
    if there is not None and there.is_current:
        return None
    return f"the viewer is not installed: p2pacs viewer install {sys.prefix}"


MISSING: dict[str, Callable[[], str | None]] = {
    "orthanc": _orthanc_missing,
    "dcmtk": _dcmtk_missing,
    "gdcm": gdcm_native.missing,
    "wg04": wg04.missing,
    "data": _data_missing,
    "lab": _lab_missing,
    "nat": _nat_missing,
    "miniupnpd": _miniupnpd_missing,
    "disk": small_disk.why_none,
    "postgresql": _postgresql_missing,
    "chromium": _chromium_missing,
    "nginx": _nginx_missing,
    "nft": _nft_missing,
    "viewer": _viewer_missing,
}
"""Marker → why its tests cannot run here; None if they can."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: it is not gone through for garbage meanwhile."""
    with heap.loading():
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Has pytest-xdist give out files in the order in which they are collected."""
    if config.pluginmanager.hasplugin("xdist"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spreads what starts real programs, and skips what needs a missing component, unless
    P2PACS_REQUIRE=all.

    Real series are no component that could be installed: without P2PACS_DICOM_DATA they skip.
    """
    items[:] = ordered(items)
    reasons: dict[str, str] = {}
    if DATA is None:
        reasons["data"] = "P2PACS_DICOM_DATA names no folder of real DICOM series"
    if not REQUIRE_ALL:
        reasons |= {marker: reason for marker, find in MISSING.items() if (reason := find())}
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fails what needs a missing component under P2PACS_REQUIRE=all, saying what to install."""
    if REQUIRE_ALL:
        for marker, find in MISSING.items():
            if item.get_closest_marker(marker) and (reason := find()):
                pytest.fail(f"P2PACS_REQUIRE=all, but {reason}", pytrace=False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real DICOM series (mark the test with ``data``)."""
    assert DATA is not None
    return Path(DATA)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A real browser (mark the test with ``chromium``): ``await chromium(task)``, where ``task``
    is given Playwright's synchronous `BrowserContext`, for this test alone."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """What a command sets up for its process ends with its test: which ran before is no matter."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


THREAD_SECONDS = 10.0
"""Of the wall's clock: a thread that takes longer hangs on purpose."""


@pytest.fixture
def autojump_clock(monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """Virtual time that passes when every task and every thread waits.

    Instead of pytest-trio's: to that one a task that waits for a thread is idle, so that deadlines
    passed while a database was read, on slow machines more of them than on fast ones.
    """
    clock = MockClock(autojump_threshold=0)
    in_thread = trio.to_thread.run_sync
    at_work = 0

    async def run_sync(*args: Any, **options: Any) -> Any:
        nonlocal at_work
        at_work += 1
        clock.autojump_threshold = THREAD_SECONDS
        try:
            return await in_thread(*args, **options)
        finally:
            at_work -= 1
            if not at_work:
                clock.autojump_threshold = 0

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)
    return clock
