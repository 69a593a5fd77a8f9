"""OHIF in a real browser, on a real CT that came by the whole road: the picture is the right one.

Every program is a process of its own. The picture is compared with DCMTK's of the same slice in the
same window: another decoder, and another road.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any, Final

import pydicom
import pytest
from attrs import frozen
from PIL import Image
from playwright.sync_api import BrowserContext

from scripts.chromium import Chromium
from scripts.loaded import load_folder
from scripts.network import LineRates, network
from scripts.pacs import open_pacs
from scripts.showing import PERSON, open_pages
from scripts.steps import CATALOGUE_SECONDS
from tests.conformance.in_viewer import LIKE, likeness, reference, shown_picture

HOST: Final = "127.2.0.1"


@frozen
class _Seen:
    picture: Image.Image
    elsewhere: list[str]
    """Addresses of other origins that the page asked for."""
    complaints: list[str]
    """What the console said of the policy, and errors."""


def _look(context: BrowserContext, *, pages: str, password: str, shot: Path) -> _Seen:
    """As a radiologist: signs in, opens the study, and has it shown in the viewer."""
    elsewhere, complaints = list[str](), list[str]()

    def ask(request: Any) -> None:
        if not request.url.startswith((f"http://{HOST}:", "blob:", "data:")):
            elsewhere.append(request.url)

    def say(message: Any) -> None:
        if message.type == "error":
            complaints.append(message.text)

    context.on("request", ask)
    context.on("console", say)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    first = context.new_page()
    first.goto(f"{pages}login")
    first.fill("[name=name]", PERSON)
    first.fill("[name=password]", password)
    first.click("main button")
    first.wait_for_url(lambda url: not url.endswith("/login"))
    first.goto(f"{pages}studies")
    first.click("a[href^='/studies/']")
    with context.expect_page() as opened:
        first.click("text=Open in the viewer")
    page = opened.value
    picture = shown_picture(page)
    page.screenshot(path=shot)
    return _Seen(picture, elsewhere, complaints)


@pytest.mark.chromium
@pytest.mark.viewer
@pytest.mark.data
@pytest.mark.dcmtk
@pytest.mark.system
@pytest.mark.timeout(600)
async def test_a_ct_in_the_browser(tmp_path: Path, data_dir: Path, chromium: Chromium) -> None:
    files = tmp_path / "study"
    files.mkdir()
    for path in sorted((data_dir / "ct-ge").iterdir())[:6]:
        shutil.copy(path, files)
    study = load_folder(files)
    async with (
        open_pacs("embedded", tmp_path, study) as pacs,
        network(tmp_path, LineRates(None, None), pacs) as net,
    ):
        shown_by = await open_pages(net, "hospital", HOST)
        peer = net.peers["hospital"]
        await peer.ready(partial(peer.knows, study.uid), CATALOGUE_SECONDS)
        password = shown_by.password.read_text().strip()
        look = partial(_look, pages=shown_by.pages, password=password, shot=tmp_path / "shot.png")
        seen = await chromium(look, viewport={"width": 1280, "height": 800})
    assert seen.elsewhere == []
    assert seen.complaints == []
    shown, made = seen.picture, tmp_path / "reference.png"
    likenesses = [likeness(shown, reference(path, made, shown.width)) for path in study.paths]
    assert max(likenesses) > LIKE, likenesses
    said = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert study.uid not in said
    assert pydicom.dcmread(study.paths[0]).PatientID not in said
