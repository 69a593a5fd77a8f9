"""The pages on real sockets, as the settings say."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from p2pacs.errors import StateError
from p2pacs.identity.authority import Authority
from p2pacs.ids import VirtualAddress
from peer.config import WEB, WEB_AUTHORITY, PeerSettings
from peer.pages.serving import PagesParts, run_pages
from tests.p2pacs.pages.browser import Browser
from tests.peer.pages.conftest import Hospital

ADDRESS = VirtualAddress.parse("fd00::7f")


def _settings(**web: object) -> PeerSettings:
    name = "N" * 64  # as long as a member's can be
    return PeerSettings.model_validate({"name": name, "listen": ["127.0.0.1:4711"], "web": web})


@asynccontextmanager
async def _served(
    hospital: Hospital, folder: Path, *, blind: bool = False, **web: object
) -> AsyncIterator[str | None]:
    parts = PagesParts(hospital.database, ADDRESS, blind=blind)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            run = partial(run_pages, parts, folder, _settings(**web))
            yield await nursery.start(run)
            nursery.cancel_scope.cancel()


async def test_plain_http_on_loopback(hospital: Hospital, tmp_path: Path) -> None:
    async with _served(hospital, tmp_path, listen="127.0.0.1:0") as url:
        assert url is not None
        assert url.startswith("http://127.0.0.1:")
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
            assert (await Browser(http).sign_in("radiologist")).status_code == 303
            assert "session-0000007f" in http.cookies
    assert not (tmp_path / WEB).exists()


async def test_https_elsewhere_under_an_authority_that_stays(
    hospital: Hospital, tmp_path: Path
) -> None:
    certificates = []
    for _ in range(2):
        async with _served(hospital, tmp_path, listen="127.0.0.1:0", tls="on") as url:
            assert url is not None
            authority = Authority.load(tmp_path / WEB / WEB_AUTHORITY)
            certificates.append(authority.certificate)
            trusting = ssl.create_default_context(cadata=authority.certificate)
            async with httpx.AsyncClient(verify=trusting, trust_env=False, timeout=60) as http:
                assert (await http.get(f"{url}/login")).status_code == 200
    assert certificates[0] == certificates[1], "people trust it once"


@pytest.mark.parametrize(("blind", "web"), [(False, {}), (True, {"listen": "127.0.0.1:0"})])
async def test_no_pages_where_none_are_wanted_or_nobody_is(
    hospital: Hospital, tmp_path: Path, blind: bool, web: dict[str, object]
) -> None:
    async with _served(hospital, tmp_path, blind=blind, **web) as url:
        assert url is None


async def test_a_place_that_is_taken(hospital: Hospital, tmp_path: Path) -> None:
    async with _served(hospital, tmp_path, listen="127.0.0.1:0") as url:
        assert url is not None
        taken = _served(hospital, tmp_path, listen=url.removeprefix("http://"))
        inner = pytest.RaisesExc(StateError, match="cannot listen")
        with pytest.RaisesGroup(inner, flatten_subgroups=True):
            await taken.__aenter__()
