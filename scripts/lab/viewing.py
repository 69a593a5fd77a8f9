"""`scripts/bench viewer`: from the click to the first image in OHIF, and to any other slice.

A hospital behind a line of its own opens a study that replicas hold, each behind a line, too. The
browser is Debian's, headless, on the hospital's side of the line; it has the viewer's files in its
cache, as after the first study of a day.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import field, frozen
from playwright.sync_api import BrowserContext, Page

from p2pacs.json_object import JsonObject
from p2pacs.units import format_rate
from scripts.chromium import Chromium, open_chromium
from scripts.lab.download import HOSPITAL, DownloadSetting, study_arguments
from scripts.lab.lab import HOME, Lab, open_lab
from scripts.lab.ours import BESIDE, start_all
from scripts.lab.watch import quiet
from scripts.loaded import LoadedStudy, load_folder
from scripts.network import LineRates, network
from scripts.pacs import open_pacs
from scripts.program import free_port
from scripts.steps import CATALOGUE_SECONDS, fill_replicas, make_study
from scripts.turned import turned

HELP: Final = "OHIF over a line: the first image within 3 s of the click, any slice within 2 s"

FIRST_SECONDS: Final = 3.0
SLICE_SECONDS: Final = 2.0
JUMPS: Final = 12
PAUSE_SECONDS: Final = 1.0
"""Between two jumps, for looking."""

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
class ViewingTimes:
    """What one click led to; seconds."""

    first: float
    """From the click to the first image."""
    jumps: list[float]
    """From each jump to its slice."""
    marks: JsonObject = field(factory=dict)
    """When its first requests began and ended, in milliseconds after the click."""

    def figures(self) -> JsonObject:
        """As printed."""
        slowest = max(self.jumps)
        return {
            "first_seconds": round(self.first, 2),
            "first_goal": FIRST_SECONDS,
            "scripts_seconds": min((at for at, _ in self.marks.values()), default=0) / 1000,
            "slice_seconds_median": round(statistics.median(self.jumps), 2),
            "slice_seconds": round(slowest, 2),
            "slice_goal": SLICE_SECONDS,
            "slices_seconds": [round(one, 2) for one in self.jumps],
            "requests_ms": self.marks,
            "passed": self.first <= FIRST_SECONDS and slowest <= SLICE_SECONDS,
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
    with open_chromium() as browser:
        async with (
            open_lab(folder, setting.wishes()) as lab,
            open_pacs("embedded", folder, study, HOME) as pacs,
        ):
            times = await _view(lab, folder, study, setting, pacs, browser, given.shot)
    return {"instances": len(study.paths), "bytes": study.size, **times.figures()}


async def _view(  # noqa: PLR0917
    lab: Lab,
    folder: Path,
    study: LoadedStudy,
    setting: DownloadSetting,
    pacs: str,
    browser: Chromium,
    shot: Path | None,
) -> ViewingTimes:
    lines = LineRates(format_rate(setting.line.uplink), format_rate(setting.line.downlink))
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
        await hospital.ready(partial(hospital.knows, study.uid), CATALOGUE_SECONDS)
        await quiet(lab)
        look = partial(
            _look,
            origin=f"http://{place.local}:{port}",
            study=study.uid,
            images=len(study.paths),
            shot=shot,
        )
        return await browser(look, viewport={"width": 1280, "height": 800})


def _look(
    context: BrowserContext, *, origin: str, study: str, images: int, shot: Path | None
) -> ViewingTimes:
    page = context.new_page()
    page.goto(origin)
    page.wait_for_selector("text=Study List")
    page.goto("about:blank")
    page.goto(f"{origin}/viewer?StudyInstanceUIDs={study}", wait_until="commit")
    first = page.wait_for_function(_DRAWN, polling=50).json_value() / 1000
    marks = page.evaluate(_MARKS)
    if shot is not None:
        page.screenshot(path=shot)
    return ViewingTimes(first, list(_jumps(page, images)), marks)


def _jumps(page: Page, images: int) -> list[float]:
    """To slices all over the study, each the first time: none of them was shown before."""
    places = random.Random(0).sample(range(images), JUMPS)  # noqa: S311 - the same every time
    found = []
    for place in places:
        page.wait_for_timeout(PAUSE_SECONDS * 1000)
        found.append(page.evaluate(_JUMP, place) / 1000)
    return found
