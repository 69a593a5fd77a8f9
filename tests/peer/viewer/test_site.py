"""The viewer's origin over HTTP, without a network: `tests/conformance/test_viewer.py` has one."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.types import ASGIApp

from p2pacs.dicomweb.server.backend import DicomwebBackend, SearchPage
from peer.viewer.app import make_viewer
from peer.viewer.archive import contents
from peer.viewer.installed import install, remove
from peer.viewer.site import FOREVER, NOT_INSTALLED, BeginStudy, takes_gzip
from tests.peer.viewer.archives import FILES, SCRIPT, archive_of

BUNDLE = "/app.bundle.0123456789abcdef.js"


class _Backend:
    async def search(self, _query: object, _caller: str) -> SearchPage:
        return SearchPage([])


def _app(
    folder: Path,
    allowed: Callable[[str], bool] = lambda _: True,
    begin: BeginStudy = lambda _study, _caller: None,
) -> ASGIApp:
    backend, names = cast("DicomwebBackend", _Backend()), ["pacs.example"]
    return make_viewer(folder / "viewer", backend, allowed=allowed, names=names, begin=begin)


def _client(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=cast("Any", app))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def _install(folder: Path, files: dict[str, bytes] = FILES) -> None:
    install(folder / "viewer", contents(archive_of(folder / "a.tgz", files)))


async def test_before_it_is_installed_and_after_it_was_removed_it_says_so(tmp_path: Path) -> None:
    async with _client(_app(tmp_path)) as http:
        for change in (lambda: None, lambda: remove(tmp_path / "viewer")):
            change()
            answer = await http.get("/viewer")
            assert (answer.status_code, answer.text) == (503, NOT_INSTALLED)
            _install(tmp_path)
            assert (await http.get("/viewer")).status_code == 200


async def test_its_page_is_at_all_paths_that_are_no_file(tmp_path: Path) -> None:
    _install(tmp_path)
    async with _client(_app(tmp_path)) as http:
        page = (await http.get("/")).text
        assert "<html>" in page
        for path in ("/viewer?StudyInstanceUIDs=1.2.3", "/segmentation", "/a/b"):
            answer = await http.get(path)
            assert answer.text == page
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
        for path in ("/none.js", "/a/none.css", "/installed.json", "/../installed.json"):
            assert (await http.get(path)).status_code == 404
        assert (await http.post("/viewer")).status_code == 405


async def test_its_headers(tmp_path: Path) -> None:
    _install(tmp_path)
    async with _client(_app(tmp_path)) as http:
        for path in ("/", BUNDLE, "/app-config.js"):
            headers = (await http.get(path)).headers
            policy = dict(
                part.strip().partition(" ")[::2]
                for part in headers["content-security-policy"].split(";")
            )
            assert policy["default-src"] == "'none'"
            assert policy["connect-src"] == "'self' data: blob:"
            assert "'unsafe-inline'" not in policy["script-src"]
            assert "'sha256-" in policy["script-src"]
            assert policy["frame-ancestors"] == "'none'"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["cross-origin-embedder-policy"] == "require-corp"
        answer = await http.get("/dicom-web/studies")
        assert answer.json() == []
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; frame")
        assert (await http.get("/dicom-web")).status_code == 404
        assert (await http.get("/dicom-webx")).text.startswith("<html>")


async def test_files_are_packed_for_who_takes_it(tmp_path: Path) -> None:
    _install(tmp_path)
    async with _client(_app(tmp_path)) as http:
        for encoding in ("gzip, deflate, br", "*", "GZIP;q=0.5"):
            answer = await http.get(BUNDLE, headers={"Accept-Encoding": encoding})
            assert answer.headers["content-encoding"] == "gzip"
            assert int(answer.headers["content-length"]) == len(gzip.compress(SCRIPT, 6))
            assert answer.content == SCRIPT
        packed = answer.headers["etag"]
        for encoding in ("identity", "br", "gzip;q=0", "gzip;q=0.00"):
            answer = await http.get(BUNDLE, headers={"Accept-Encoding": encoding})
            assert "content-encoding" not in answer.headers
            assert answer.content == SCRIPT
        assert answer.headers["etag"] != packed
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == FOREVER
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_what_a_browser_has_is_not_sent_again(tmp_path: Path) -> None:
    _install(tmp_path)
    async with _client(_app(tmp_path)) as http:
        first = await http.get("/app.bundle.css")
        assert first.headers["cache-control"] == "no-cache"
        known = {"If-None-Match": first.headers["etag"]}
        again = await http.get("/app.bundle.css", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        _install(tmp_path, FILES | {"package/dist/app.bundle.css": b"b{}"})
        assert (await http.get("/app.bundle.css", headers=known)).content == b"b{}"


async def test_its_configuration_is_ours(tmp_path: Path) -> None:
    _install(tmp_path)
    async with _client(_app(tmp_path)) as http:
        answer = await http.get("/app-config.js")
        assert answer.text.startswith("window.config = {")
        assert "somebody else" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_what_a_browser_loads_ahead_begins_no_study(tmp_path: Path) -> None:
    _install(tmp_path)
    begun = list[str]()
    app = _app(tmp_path, begin=lambda study, _caller: begun.append(study))
    async with _client(app) as http:
        for purpose in ("prefetch;prerender", "prefetch"):
            page = await http.get(
                "/viewer?StudyInstanceUIDs=1.2.3", headers={"Sec-Purpose": purpose}
            )
            assert page.status_code == 200
            assert page.headers["supports-loading-mode"] == "credentialed-prerender"
        assert begun == []
        await http.get("/viewer?StudyInstanceUIDs=1.2.3&StudyInstanceUIDs=1.2.4")
        assert begun == ["1.2.3"]


async def test_other_addresses_and_names_are_refused(tmp_path: Path) -> None:
    _install(tmp_path)
    async with _client(_app(tmp_path, lambda address: address != "127.0.0.1")) as http:
        for path in ("/", BUNDLE, "/dicom-web/studies"):
            assert (await http.get(path)).status_code == 403
    async with _client(_app(tmp_path)) as http:
        for path in ("/", BUNDLE, "/dicom-web/studies"):
            evil = await http.get(path, headers={"Host": "evil.example"})
            assert evil.status_code == 421
            ours = await http.get(path, headers={"Host": "pacs.example:80"})
            assert ours.status_code == 200


async def test_a_damaged_installation_says_what_to_do(tmp_path: Path) -> None:
    _install(tmp_path)
    (tmp_path / "viewer" / "installed.json").write_text("{")
    async with _client(_app(tmp_path)) as http:
        answer = await http.get("/")
        assert answer.status_code == 409
        assert "install the viewer again" in answer.text


@pytest.mark.parametrize("fields", [[], [""], ["br"], ["gzip;q=0"], ["gzip; q=0.0"], ["*;q=0"]])
def test_who_takes_no_gzip(fields: list[str]) -> None:
    assert not takes_gzip(fields)


@pytest.mark.parametrize(
    "fields", [["gzip"], ["br", "gzip"], ["*"], ["GZIP ; Q=0.1, br"], ["gzip;q=1"]]
)
def test_who_takes_gzip(fields: list[str]) -> None:
    assert takes_gzip(fields)
