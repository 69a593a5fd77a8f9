"""A real nginx with the configuration of deploy/, and clients that find it by its names."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template
from typing import Any

import httpcore
import httpx
import trio
from attrs import frozen

from p2pacs.identity.authority import Authority
from p2pacs.pages.certificate import WebCertificate
from scripts.program import free_port, running
from tests.components import HOST, nginx_program
from tests.deploy.conftest import ROOT

TEMPLATE = ROOT / "deploy" / "nginx" / "p2pacs.conf.template"
NAMES = {
    "BROKER_NAME": "broker.p2pacs.example",
    "PAGES_NAME": "hospital.p2pacs.example",
    "VIEWER_NAME": "viewer.p2pacs.example",
    "DICOMWEB_NAME": "dicomweb.p2pacs.example",
}
UPSTREAMS = ("BROKER_UPSTREAM", "PAGES_UPSTREAM", "VIEWER_UPSTREAM", "DICOMWEB_UPSTREAM")

_AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/p2pacs.conf;
}}
"""


class _Here(httpcore.AsyncNetworkBackend):
    """All names are this machine's."""

    def __init__(self, port: int) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._port = port

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore asks
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return await self._backend.connect_tcp(
            HOST, self._port, timeout, local_address, socket_options
        )


@frozen
class Nginx:
    """That runs."""

    port: int
    trust: ssl.SSLContext

    def origin(self, name: str) -> str:
        """Of one of the servers, by the key of its name."""
        return f"https://{NAMES.get(name, name)}:{self.port}"

    def client(self, name: str) -> httpx.AsyncClient:
        """A browser that begins at this server."""
        transport = httpx.AsyncHTTPTransport()
        transport._pool = httpcore.AsyncConnectionPool(
            ssl_context=self.trust, network_backend=_Here(self.port)
        )
        return httpx.AsyncClient(transport=transport, base_url=self.origin(name), timeout=60)


def render(values: Mapping[str, str]) -> str:
    """As the image's envsubst does it: what has no value stays (nginx has variables, too)."""
    return Template(TEMPLATE.read_text()).safe_substitute(values)


@asynccontextmanager
async def nginx(folder: Path, upstreams: Mapping[str, str], port: int = 0) -> AsyncIterator[Nginx]:
    """Runs one; an upstream that is not named answers nothing."""
    folder.mkdir()
    port = port or free_port(HOST)
    authority = Authority.create(folder / "authority", "an authority of the site")
    WebCertificate.make(folder / "tls", authority, lambda: list(NAMES.values()))
    shutil.copy(folder / "tls" / "web-cert.pem", folder / "tls" / "fullchain.pem")
    shutil.copy(folder / "tls" / "web-key.pem", folder / "tls" / "key.pem")
    nowhere = dict.fromkeys(UPSTREAMS, f"{HOST}:1")
    values = {"HTTPS_PORT": f"{HOST}:{port}", "TLS_FOLDER": str(folder / "tls"), **NAMES}
    (folder / "p2pacs.conf").write_text(render(values | nowhere | dict(upstreams)))
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder))
    program = nginx_program()
    assert program is not None
    command = [program, "-e", f"{folder}/nginx.log", "-p", folder, "-c", folder / "nginx.conf"]
    trust = ssl.create_default_context(cafile=folder / "authority" / "authority.pem")
    async with running("nginx", list(command), folder / "output.log") as server:
        await server.ready(lambda: _answers(port))
        yield Nginx(port, trust)


async def _answers(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream(HOST, port)
    except OSError:
        return False
    await stream.aclose()
    return True
