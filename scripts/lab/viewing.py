"""`scripts/bench viewer`: from the click to the first image in OHIF, and to any other slice.

A hospital behind a line of its own opens a study that replicas hold, each behind a line, too. The
browser is Debian's, headless, on the hospital's side of the line, and driven as a person drives it:
signs in, opens a study out of the list, reads its page for `READ_SECONDS`, and clicks. Its profile
is new: the first click, on a small study that is here, is what a new browser takes. After another
such visit comes the click that is measured; when all of the study is here, it is opened once more,
and once as a browser shows it that has loaded nothing ahead.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import evolve, frozen

from p2pacs.output.json_object import JsonObject
from p2pacs.units import format_rate
from scripts import phantom
from scripts.lab.download import HOSPITAL, DownloadSetting, study_arguments
from scripts.lab.lab import HOME, Lab, LabPlace, open_lab
from scripts.lab.ours import BESIDE, start_all
from scripts.lab.watch import quiet
from scripts.loaded import LoadedStudy, load_folder
from scripts.network import LineRates, network
from scripts.pacs import open_pacs
from scripts.program import free_port
from scripts.showing import PERSON, add_person
from scripts.steps import (
    CATALOGUE_SECONDS,
    LONGEST_SECONDS,
    POLL_SECONDS,
    fill_replicas,
    make_study,
    timed_fetch,
)
from scripts.tabs import Tab, open_tabs
from scripts.turned import turned

HELP: Final = "OHIF over a line: the first image within 3 s of the click, any slice within 2 s"

FIRST_SECONDS: Final = 3.0
SLICE_SECONDS: Final = 2.0
JUMPS: Final = 12
PAUSE_SECONDS: Final = 1.0
"""Between two jumps, for looking."""
READ_SECONDS: Final = 2.0
"""For which the page of a study is open before the click."""
EARLIER: Final = 4
"""Slices of the study that was shown before."""

_DRAWN: Final = """(() => {
    const [engine] = window.cornerstone?.getRenderingEngines() ?? [];
    const [viewport] = engine?.getViewports() ?? [];
    return Boolean(viewport?.getCornerstoneImage?.()) && performance.timeOrigin + performance.now();
})()"""
"""When the viewer shows an image: milliseconds since 1970."""

_CLICKED: Final = """document.addEventListener("click", () => {
    sessionStorage.clicked = performance.timeOrigin + performance.now();
}, true)"""

_JUMP: Final = """async place => {
    const [engine] = window.cornerstone.getRenderingEngines();
    const [viewport] = engine.getViewports();
    const begin = performance.now();
    await viewport.setImageIdIndex(place);
    await new Promise(requestAnimationFrame);
    return performance.now() - begin;
}"""
"""What the viewer's scroll bar does; milliseconds until the slice is shown."""

_MARKS: Final = """Object.fromEntries(performance.getEntriesByType("resource")
    .filter(one => one.name.includes("/dicom-web/"))
    .map(one => [one.name.replace(/.*dicom-web/, "").replace(/[0-9.]{12,}/g, "U"),
                 [one.startTime, one.responseEnd].map((at) => at + performance.timeOrigin)])
    .slice(0, 12))"""
"""When its first requests began and ended, likewise."""

_ROW: Final = """[...document.querySelectorAll("tbody tr")]
    .find((row) => row.querySelector("[data-label=Images]").textContent === "%s")
    ?.querySelector("a").getAttribute("href")"""
"""Path of the page of a study with so many images."""

_LINK: Final = "a[data-viewer]"
_NOT_AHEAD: Final = "document.querySelector('script[type=speculationrules]').remove()"


@frozen
class Opened:
    """What one click led to."""

    first: float
    """Seconds from the click to the first image."""
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
    unprepared: Opened
    """And once more, when the browser loaded nothing ahead."""
    new: Opened
    """The first click of a new browser, on a small study that is here."""

    def figures(self) -> JsonObject:
        """As printed."""
        slowest = max(self.jumps)
        return {
            "first_seconds": round(self.opened.first, 2),
            "first_goal": FIRST_SECONDS,
            "here_seconds": round(self.here.first, 2),
            "scripts_seconds": self.opened.scripts,
            "unprepared_seconds": round(self.unprepared.first, 2),
            "new_browser_seconds": round(self.new.first, 2),
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
    async with (
        open_lab(folder, setting.wishes()) as lab,
        open_pacs("embedded", folder, both, HOME) as pacs,
    ):
        times = await _view(lab, folder, (study, earlier), setting, pacs, given.shot)
    return {"instances": len(study.paths), "bytes": study.size, **times.figures()}


async def _view(  # noqa: PLR0917
    lab: Lab,
    folder: Path,
    studies: tuple[LoadedStudy, LoadedStudy],
    setting: DownloadSetting,
    pacs: str,
    shot: Path | None,
) -> ViewingTimes:
    lines = LineRates(format_rate(setting.line.uplink), format_rate(setting.line.downlink))
    study, earlier = studies
    async with network(folder, lines, pacs, lab, {"coding": str(setting.coding)}) as net:
        await start_all(net, "replica", setting.replicas)
        await fill_replicas(net, study, setting.replicas, BESIDE)
        place = lab.place(HOSPITAL)
        pages, viewer = (f"{place.local}:{port}" for port in await _reachable(place))
        settings = {
            "web.listen": pages,
            "gateway.viewer": viewer,
            "gateway.viewer_files": sys.prefix,
        }
        await start_all(net, "hospital", [HOSPITAL], settings)
        hospital = net.peers[HOSPITAL]
        password = await add_person(hospital, net.folder)
        await timed_fetch(hospital, earlier)
        await hospital.ready(partial(hospital.knows, study.uid), CATALOGUE_SECONDS)
        await quiet(lab)
        visit = _Visit(
            f"http://{pages}",
            password.read_text(encoding="ascii").strip(),
            len(study.paths),
            shot,
        )
        profile, token = folder / "profile", trio.lowlevel.current_trio_token()

        def arrive() -> None:
            wait = partial(hospital.complete, POLL_SECONDS, LONGEST_SECONDS)
            trio.from_thread.run(wait, trio_token=token)

        look = partial(_look, profile, visit, arrive)
        return await trio.to_thread.run_sync(look)


async def _reachable(place: LabPlace) -> list[int]:
    """Two ports there that are reached from here."""
    ports = list[int]()
    while len(ports) < 2:
        if (port := free_port(place.local)) not in ports:
            await place.reach(port)
            ports.append(port)
    return ports


@frozen
class _Visit:
    pages: str
    password: str
    images: int
    """Of the study."""
    shot: Path | None


def _look(profile: Path, visit: _Visit, arrive: Callable[[], None]) -> ViewingTimes:
    with open_tabs(profile) as tab:
        _sign_in(tab, visit)
        (viewer, new), (again, _) = (_open(tab, visit.pages, EARLIER) for _ in range(2))
        for one in (viewer, again):
            one.close()
        viewer, opened = _open(tab, visit.pages, visit.images)
        if visit.shot is not None:
            viewer.picture(visit.shot)
        jumps = list(_jumps(viewer, visit.images))
        viewer.close()
        arrive()
        viewer, here = _open(tab, visit.pages, visit.images)
        viewer.close()
        _, unprepared = _open(tab, visit.pages, visit.images, before=_NOT_AHEAD)
        return ViewingTimes(opened, jumps, here, unprepared, new)


def _sign_in(tab: Tab, visit: _Visit) -> None:
    tab.goto(f"{visit.pages}/login")
    for field, value in (("name", PERSON), ("password", visit.password)):
        tab.evaluate(f"document.querySelector('#{field}').value = {json.dumps(value)}")
    tab.leave(partial(tab.click, "main button"))


def _open(tab: Tab, pages: str, images: int, before: str = "") -> tuple[Tab, Opened]:
    """From the list to a study's page, and from there to the viewer.

    Args:
        tab: of the pages.
        pages: their address.
        images: of the study.
        before: what is done in that page.
    """
    tab.goto(f"{pages}/studies")
    tab.browser.pause(READ_SECONDS)
    study = tab.wait(_ROW % images)
    tab.leave(partial(tab.click, f"tbody a[href='{study}']"))
    tab.evaluate(f"{before or 'null'}; {_CLICKED}")
    tab.browser.pause(READ_SECONDS)
    viewer = tab.opens(_LINK)
    drawn = viewer.wait(_DRAWN)
    clicked = float(tab.evaluate("sessionStorage.clicked"))
    marks = {
        name: [round(at - clicked) for at in both] for name, both in viewer.evaluate(_MARKS).items()
    }
    return viewer, Opened((drawn - clicked) / 1000, marks)


def _jumps(viewer: Tab, images: int) -> Iterator[float]:
    """To slices all over the study, each the first time: none of them was shown before."""
    places = random.Random(0).sample(range(images), JUMPS)  # noqa: S311 - the same every time
    for place in places:
        viewer.browser.pause(PAUSE_SECONDS)
        yield viewer.evaluate(f"({_JUMP})({place})") / 1000
