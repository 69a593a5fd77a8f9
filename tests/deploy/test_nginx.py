"""What nginx with the configuration of deploy/ makes of a hospital's pages, viewer and DICOMweb."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
from attrs import frozen

from peer.viewer.archive import contents
from peer.viewer.installed import install
from scripts.program import free_port
from tests.components import HOST
from tests.deploy.proxy import NAMES, UPSTREAMS, Nginx, nginx, render
from tests.p2pacs.pages.browser import Browser
from tests.peer.pages.served import Served, served
from tests.peer.viewer.archives import archive_of

pytestmark = pytest.mark.nginx

TICKET = re.compile(r'action="([^"]*)/open".*name="ticket" value="([^"]*)"', re.DOTALL)
OTHER = "127.9.9.9"
"""Of this machine, and not the proxy's."""


@frozen
class Site:
    """A hospital behind nginx."""

    hospital: Served
    proxy: Nginx
    pages: str
    """Where the pages listen themselves."""
    dicomweb: str

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        async with self.proxy.client("PAGES_NAME") as http:
            browser = Browser(http)
            signed = await browser.sign_in("radiologist")
            assert signed.status_code == 303, signed.text
            yield browser

    async def opened(self, browser: Browser) -> tuple[str, str, httpx.Response]:
        """The viewer's origin and a ticket, as the page of the study tells them."""
        page = await browser.send("/transfers", f"{self.hospital.study}/viewer")
        found = TICKET.search(page.text)
        assert found is not None, page.text
        return found[1], found[2], page


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    shared, port = folder / "shared", free_port(HOST)
    install(shared / "viewer", contents(archive_of(folder / "a.tgz")))
    gateway = {
        "viewer": "127.0.0.1:0",
        "viewer_files": str(shared),
        "viewer_origin": f"https://{NAMES['VIEWER_NAME']}:{port}",
        "dicomweb": "127.0.0.1:0",
        "dicomweb_names": [NAMES["DICOMWEB_NAME"]],
    }
    web = {
        "listen": "127.0.0.1:0",
        "tls": "off",
        "hosts": [NAMES["PAGES_NAME"]],
        "proxies": ["127.0.0.1/32"],
    }
    async with (
        served(folder, web=web, gateway=gateway) as hospital,
        trio.open_nursery() as nursery,
    ):
        viewer = await nursery.start(hospital.peer.serve_viewer)
        upstreams = {
            "PAGES_UPSTREAM": hospital.url.removeprefix("http://"),
            "VIEWER_UPSTREAM": viewer.removeprefix("http://"),
            "DICOMWEB_UPSTREAM": str(await nursery.start(hospital.peer.serve_dicomweb)),
        }
        async with nginx(folder / "nginx", upstreams, port) as proxy:
            yield Site(hospital, proxy, hospital.url, upstreams["DICOMWEB_UPSTREAM"])
        nursery.cancel_scope.cancel()


async def test_the_viewer_is_opened_at_its_address_outside(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.browser() as browser:
        for cookie in browser.http.cookies.jar:
            assert cookie.secure
            assert cookie.name.startswith("__Host-")
        origin, ticket, page = await here.opened(browser)
        assert origin == here.proxy.origin("VIEWER_NAME")
        assert f"form-action 'self' {origin};" in page.headers["content-security-policy"]
        async with here.proxy.client("VIEWER_NAME") as viewer:
            assert (await viewer.get("/viewer")).status_code == 403
            opened = await viewer.post("/open", data={"ticket": ticket})
            assert opened.status_code == 303
            said = opened.headers["set-cookie"]
            assert said.startswith("__Host-viewer-")
            assert "Secure" in said
            assert "HttpOnly" in said
            assert (await viewer.get(opened.headers["location"])).status_code == 200
            (study,) = (await viewer.get("/dicom-web/studies")).json()
            # What the answers name is asked for from outside again.
            assert study["00081190"]["Value"][0].startswith(f"{origin}/dicom-web/studies/")
            # Once used, and with the cookie of another origin, it opens nothing.
            assert (await viewer.post("/open", data={"ticket": ticket})).status_code == 403
            name, _, value = said.partition(";")[0].partition("=")
        async with here.proxy.client("PAGES_NAME") as other:
            answer = await other.get("/transfers", headers={"Cookie": f"{name}={value}"})
            assert answer.status_code == 303
            assert "/login" in answer.headers["location"]


async def test_other_names_are_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        async with here.proxy.client("evil.example") as http:
            with pytest.raises(httpx.ConnectError):  # no certificate, no connection
                await http.get("/")
        async with here.proxy.client("PAGES_NAME") as http:
            for host in (NAMES["VIEWER_NAME"], "evil.example"):  # by another name than in TLS
                answer = await http.get("/login", headers={"Host": host})
                assert answer.status_code in (400, 403, 421)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:  # past the proxy
            answer = await http.get(f"{here.pages}/login", headers={"Host": "evil.example"})
            assert answer.status_code == 421
            assert "web.hosts" in answer.text


async def test_events_come_as_they_happen(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.browser() as browser:
        with trio.fail_after(60):
            where = here.hospital.study.replace("/studies", "/live/studies")
            async with browser.http.stream("GET", where) as events:
                assert events.headers["content-type"].startswith("text/event-stream")
                # It never ends: anything of it comes only if nothing holds it back.
                async for part in events.aiter_raw():
                    assert part
                    break


async def test_large_uploads_are_refused_by_the_proxy(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for name, path in (("PAGES_NAME", "/login"), ("DICOMWEB_NAME", "/dicom-web/series")):
            async with here.proxy.client(name) as http:
                answer = await http.post(path, content=b"x" * (65 * 1024))
                assert answer.status_code == 413
                assert "nginx" in answer.text


async def test_who_asks_is_whom_the_proxy_names_and_nobody_else(tmp_path: Path) -> None:
    """By DICOMweb this machine may read: behind a proxy that would be everybody."""
    outside = {"X-Forwarded-For": "203.0.113.9"}
    async with site(tmp_path) as here:
        async with here.proxy.client("DICOMWEB_NAME") as http:
            # What the browser says of itself is gone behind the proxy, which says what is so.
            made_up = outside | {"X-Forwarded-Proto": "http"}
            (study,) = (await http.get("/dicom-web/studies", headers=made_up)).json()
            url = study["00081190"]["Value"][0]
            assert url.startswith(here.proxy.origin("DICOMWEB_NAME"))
            assert (await http.get("/")).status_code == 404
        for address, status in ((HOST, 403), (OTHER, 200)):  # the proxy; somebody else here
            transport = httpx.AsyncHTTPTransport(local_address=address)
            async with httpx.AsyncClient(transport=transport, timeout=60) as http:
                answer = await http.get(
                    f"http://{here.dicomweb}/dicom-web/studies", headers=outside
                )
                assert answer.status_code == status


async def test_it_keeps_no_log_of_what_is_asked(tmp_path: Path) -> None:
    async with nginx(tmp_path / "nginx", {}) as proxy, proxy.client("PAGES_NAME") as http:
        answer = await http.get("/studies?PatientName=Doe")
        assert answer.status_code == 502  # an error, of which nginx would tell
    for path in (tmp_path / "nginx").glob("*.log"):
        assert "Doe" not in path.read_text()


def test_every_variable_is_filled_in() -> None:
    assert "${" in render({})
    assert "${" not in render(dict.fromkeys([*NAMES, *UPSTREAMS, "HTTPS_PORT", "TLS_FOLDER"], "x"))


async def test_studies_may_be_longer_than_forms(tmp_path: Path) -> None:
    long = b"x" * 200_000
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
    async with site(tmp_path) as here, here.proxy.client("DICOMWEB_NAME") as http:
        stored = await http.post("/dicom-web/studies", content=long, headers=headers)
        assert stored.status_code == 403  # it comes through, to a hospital that does not send
        assert "sending.enabled" in stored.json()["message"]
        assert (await http.post("/dicom-web/series", content=long)).status_code == 413
