"""`scripts/bench viewer`: from the click to the first image in OHIF, and to any other slice.

A hospital behind a line of its own opens a study that replicas hold, each behind a line, too. The
browser is Debian's, headless, on the hospital's side of the line. It has a profile, as everybody's:
it has shown another study before, so the viewer's scripts are in its cache, compiled. When all of
the study is here, it is opened once more: what the browser then takes, it took before, too.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import evolve, frozen
from playwright.sync_api import BrowserContext, Page

from p2pacs.output.json_object import JsonObject
from p2pacs.units import format_rate
from scripts import phantom
from scripts.chromium import Chromium, open_profile
from scripts.lab.download import HOSPITAL, DownloadSetting, study_arguments
from scripts.lab.lab import HOME, Lab, open_lab
from scripts.lab.ours import BESIDE, start_all
from scripts.lab.watch import quiet
from scripts.loaded import LoadedStudy, load_folder
from scripts.network import LineRates, network
from scripts.pacs import open_pacs
from scripts.program import free_port
from scripts.steps import (
    CATALOGUE_SECONDS,
    LONGEST_SECONDS,
    POLL_SECONDS,
    fill_replicas,
    make_study,
    timed_fetch,
)
from scripts.turned import turned

HELP: Final = "OHIF over a line: the first image within 3 s of the click, any slice within 2 s"

FIRST_SECONDS: Final = 3.0
SLICE_SECONDS: Final = 2.0
JUMPS: Final = 12
PAUSE_SECONDS: Final = 1.0
"""Between two jumps, for looking; and before the click."""
EARLIER: Final = 4
"""Slices of the study that was shown before."""

_DRAWN: Final = """() => {
    const [engine] = window.cornerstone?.getRenderingEngines() ?? [];
    const [viewport] = engine?.getViewports() ?? [];
    return Boolean(viewport?.getCornerstoneImage?.()) && performance.now();
}"""
"""Milliseconds since the click, once the viewer shows an image."""

_JUMP: Final = """async place => {
    const [engine] = window.cornerstone.getRenderingEngines();
    const [viewport] = engine.getViewports();
    const begin = performance.now();
    await viewport.setImageIdIndex(place);
    await new Promise(requestAnimationFrame);
    return performance.now() - begin;
}"""
"""What the viewer's scroll bar does; milliseconds until the slice is shown."""

_MARKS: Final = """() => Object.fromEntries(performance.getEntriesByType("resource")
    .filter(one => one.name.includes("/dicom-web/"))
    .map(one => [one.name.replace(/.*dicom-web/, "").replace(/[0-9.]{12,}/g, "U"),
                 [Math.round(one.startTime), Math.round(one.responseEnd)]]).slice(0, 12))"""


@frozen
class Opened:
    """What one click led to."""

    first: float
    """Seconds from the click to the first image."""
    cpu: float
    """Seconds of a processor that the browser's page itself took of them: all else are its workers,
    the peer and waiting."""
    marks: JsonObject
    """When its first requests began and ended, in milliseconds after the click."""

    @property
    def scripts(self) -> float:
        """Seconds until the viewer asked the peer for something."""
        return min((at for at, _ in self.marks.values()), default=0) / 1000


@frozen
class ViewingTimes:
    """What was seen."""

    opened: Opened
    jumps: list[float]
    """Seconds from each jump to its slice."""
    here: Opened
    """Once more, when all of the study was here."""

    def figures(self) -> JsonObject:
        """As printed."""
        slowest = max(self.jumps)
        return {
            "first_seconds": round(self.opened.first, 2),
            "first_goal": FIRST_SECONDS,
            "here_seconds": round(self.here.first, 2),
            "scripts_seconds": self.opened.scripts,
            "browser_cpu_seconds": round(self.opened.cpu, 2),
            "slice_seconds_median": round(statistics.median(self.jumps), 2),
            "slice_seconds": round(slowest, 2),
            "slice_goal": SLICE_SECONDS,
            "slices_seconds": [round(one, 2) for one in self.jumps],
            "requests_ms": self.opened.marks,
            "here_requests_ms": self.here.marks,
            "passed": self.opened.first <= FIRST_SECONDS and slowest <= SLICE_SECONDS,
        }


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    study_arguments(parser)
    parser.add_argument("--shot", type=Path, metavar="FILE.png", help="what the browser shows")
    parser.set_defaults(against=None, preview=False)


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """Opens the study in the viewer, and jumps about in it."""
    setting = DownloadSetting.of(given)
    study = await trio.to_thread.run_sync(load_folder, given.dicom)
    if given.slices:
        study = await make_study(folder, turned(list(study.instances()), given.slices))
    earlier = await make_study(folder / "earlier", phantom.slices(EARLIER))
    both = evolve(study, paths=(*study.paths, *earlier.paths))
    with open_profile(folder / "profile") as browser:
        async with (
            open_lab(folder, setting.wishes()) as lab,
            open_pacs("embedded", folder, both, HOME) as pacs,
        ):
            studies = study, earlier
            times = await _view(lab, folder, studies, setting, pacs, browser, given.shot)
    return {"instances": len(study.paths), "bytes": study.size, **times.figures()}


async def _view(  # noqa: PLR0917
    lab: Lab,
    folder: Path,
    studies: tuple[LoadedStudy, LoadedStudy],
    setting: DownloadSetting,
    pacs: str,
    browser: Chromium,
    shot: Path | None,
) -> ViewingTimes:
    lines = LineRates(format_rate(setting.line.uplink), format_rate(setting.line.downlink))
    study, earlier = studies
    async with network(folder, lines, pacs, lab, {"coding": str(setting.coding)}) as net:
        await start_all(net, "replica", setting.replicas)
        await fill_replicas(net, study, setting.replicas, BESIDE)
        place = lab.place(HOSPITAL)
        port = free_port(place.local)
        await place.reach(port)
        settings = {
            "gateway.viewer": f"{place.local}:{port}",
            "gateway.viewer_files": sys.prefix,
        }
        await start_all(net, "hospital", [HOSPITAL], settings)
        hospital = net.peers[HOSPITAL]
        await timed_fetch(hospital, earlier)
        await hospital.ready(partial(hospital.knows, study.uid), CATALOGUE_SECONDS)
        await quiet(lab)
        visit = _Visit(f"http://{place.local}:{port}", earlier.uid, study.uid, shot)
        look = partial(_look, visit=visit, images=len(study.paths))
        opened, jumps = await browser(look, viewport=_VIEWPORT)
        await hospital.complete(POLL_SECONDS, LONGEST_SECONDS)
        here = await browser(partial(_open, visit=visit), viewport=_VIEWPORT)
        return ViewingTimes(opened, jumps, here)


_VIEWPORT: Final = {"width": 1280, "height": 800}


@frozen
class _Visit:
    origin: str
    earlier: str
    study: str
    shot: Path | None

    def page(self, study: str) -> str:
        return f"{self.origin}/viewer?StudyInstanceUIDs={study}"


def _look(context: BrowserContext, *, visit: _Visit, images: int) -> tuple[Opened, list[float]]:
    opened = _open(context, visit=visit)
    return opened, list(_jumps(context.pages[-1], images))


def _open(context: BrowserContext, *, visit: _Visit) -> Opened:
    """Shows the earlier study, then in a page of its own the one that is clicked on."""
    before = context.new_page()
    before.goto(visit.page(visit.earlier))
    before.wait_for_function(_DRAWN)
    before.wait_for_timeout(PAUSE_SECONDS * 1000)
    before.close()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(visit.page(visit.study), wait_until="commit")
    first = page.wait_for_function(_DRAWN, polling=50).json_value() / 1000
    metrics = session.send("Performance.getMetrics")["metrics"]
    cpu = sum(one["value"] for one in metrics if one["name"] == "TaskDuration")
    if visit.shot is not None:
        page.screenshot(path=visit.shot)
    return Opened(first, cpu, page.evaluate(_MARKS))


def _jumps(page: Page, images: int) -> Iterator[float]:
    """To slices all over the study, each the first time: none of them was shown before."""
    places = random.Random(0).sample(range(images), JUMPS)  # noqa: S311 - the same every time
    for place in places:
        page.wait_for_timeout(PAUSE_SECONDS * 1000)
        yield page.evaluate(_JUMP, place) / 1000
