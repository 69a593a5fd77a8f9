"""A whole p2pacs network on loopback: broker, replicas and hospitals as processes of their own.

Every process listens on an address of its own out of 127.0.0.0/8 and dials out from it, so a
line can be told from a LAN as on real machines: broker and replicas share 127.1.0.0/16, their
LAN; hospitals lie outside it. Members are admitted as an administrator does it, through the
web form, and configured as on a real machine, by their TOML file.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import trio
from attrs import define, field, frozen

from p2pacs.dicom.remote import DimseRemote
from p2pacs.settings import toml_value
from scripts.program import Command, Program, ScriptError, free_port, output_of, running

P2PACS = (sys.executable, "-m", "p2pacs")
LAN = "127.1.0.0/16"
BROKER_HOST = "127.1.0.1"
HTTP_SECONDS = 30.0
ADMIN = "admin"


@frozen
class Lines:
    """What registration and settings say of a member's line: rates as ``800kbit``, or None."""

    uplink: str | None
    downlink: str | None


@frozen
class TransferState:
    """How far a peer is with fetching a study."""

    study: str
    state: str
    """``fetching``, ``complete`` or ``failed``."""
    bytes_received: int
    bytes_total: int
    sources: dict[str, int]
    """Bytes from each uploader by name."""


@define
class Peer:
    """One member: a replica or a hospital."""

    name: str
    host: str
    folder: Path
    aet: str
    dicom_port: int
    api_port: int
    program: Program | None = None
    """None until `start`."""
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    async def transfer(self) -> TransferState | None:
        """The newest transfer, as its local API tells it; None before the first."""
        transfers = (await self._ask("GET", "/transfers"))["transfers"]
        if not transfers:
            return None
        newest = transfers[0]
        return TransferState(
            study=newest["study"],
            state=newest["state"],
            bytes_received=newest["bytes_received"],
            bytes_total=newest["bytes_total"],
            sources={name: source["bytes"] for name, source in newest["sources"].items()},
        )

    async def knows(self, study_uid: str) -> bool:
        """Whether its catalogue lists the study."""
        found = await self._ask("POST", "/find", {"study_instance_uid": study_uid})
        return bool(found["studies"])

    async def fetch(self, study_uid: str) -> None:
        """Has it fetch a study, as `p2pacs get` does; returns at once."""
        await self._ask("POST", "/studies/fetch", {"study_instance_uid": study_uid})

    async def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        token = (self.folder / "api.token").read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://{self.host}:{self.api_port}{path}"
        async with httpx.AsyncClient(timeout=HTTP_SECONDS, headers=headers) as http:
            response = await http.request(method, url, json=body)
            response.raise_for_status()
            return response.json()

    @property
    def gateway(self) -> DimseRemote:
        """The PACS that workstations see."""
        return DimseRemote(self.aet, self.host, self.dicom_port)

    async def ready(self, probe: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Waits until ``probe`` says yes (see `Program.ready`)."""
        if self.program is None:
            raise ScriptError(f"{self.name} was not started")
        await self.program.ready(probe, seconds)

    async def answers(self) -> bool:
        """Whether its API is up."""
        try:
            await self._ask("GET", "/status")
        except (httpx.HTTPError, FileNotFoundError):
            return False
        return True

    async def start(self) -> None:
        """Runs it until `stop`, or until the network ends."""
        log = self.folder.with_suffix(".log")
        command: Command = [*P2PACS, "peer", "run", self.folder]
        program = await self._stack.enter_async_context(running(self.name, command, log))
        self.program = program
        await program.ready(self.answers)

    async def stop(self) -> None:
        """Ends its process; its folder stays."""
        await self._stack.aclose()


class Network:
    """Broker and members in one folder. Make one with `network`."""

    def __init__(self, folder: Path, lines: Lines) -> None:
        self.folder = folder
        self.lines = lines
        self.peers: dict[str, Peer] = {}
        self.broker: Program | None = None
        self._web = f"http://{BROKER_HOST}:{free_port(BROKER_HOST)}"
        self._password = secrets.token_urlsafe(16)

    @property
    def programs(self) -> Iterator[Program]:
        """All that run now."""
        for program in (self.broker, *(peer.program for peer in self.peers.values())):
            if program is not None and program.returncode is None:
                yield program

    async def start_broker(self, pacs: str, stack: AsyncExitStack) -> None:
        """Makes the broker of the PACS at this address and runs it."""
        folder, log = self.folder / "broker", self.folder / "broker.log"
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._password + "\n", encoding="ascii")
        listen = f"{BROKER_HOST}:{free_port(BROKER_HOST)}"
        command: Command = [*P2PACS, "broker", "init", folder, "--pacs", pacs, "--listen", listen]
        command += ["--advertise", listen, "--web", self._web.removeprefix("http://")]
        command += ["--admin", ADMIN, "--password-file", password]
        await output_of("p2pacs broker init", command, log)
        set_toml(folder / "broker.toml", self._line_settings(beside_pacs=True))
        command = [*P2PACS, "broker", "run", folder]
        broker = await stack.enter_async_context(running("broker", command, log))
        self.broker = broker
        await broker.ready(self._form_answers)

    async def _form_answers(self) -> bool:
        try:
            async with httpx.AsyncClient(timeout=HTTP_SECONDS) as http:
                return (await http.get(f"{self._web}/login")).is_success
        except httpx.HTTPError:
            return False

    async def add(
        self, name: str, role: str, host: str, destinations: Mapping[str, str] | None = None
    ) -> Peer:
        """Registers a member through the web form, joins it and configures its lines.

        Args:
            name: its name, and its folder's.
            role: ``replica`` or ``hospital``.
            host: its address out of 127.0.0.0/8.
            destinations: workstations that its gateway may send to: AE title to HOST:PORT.
        """
        peer = Peer(
            name=name,
            host=host,
            folder=self.folder / name,
            aet=name.upper().replace("-", "_")[:16],
            dicom_port=free_port(host),
            api_port=free_port(host),
        )
        listen = f"{host}:{free_port(host)}"
        command: Command = [*P2PACS, "peer", "join", peer.folder, await self._token(name, role)]
        command += ["--listen", listen, "--advertise", listen, "--aet", peer.aet]
        command += ["--dicom", f"{host}:{peer.dicom_port}", "--api", f"{host}:{peer.api_port}"]
        await output_of("p2pacs peer join", command, self.folder / f"{name}.log")
        settings = self._line_settings(beside_pacs=role == "replica")
        settings["gateway.destinations"] = dict(destinations or {})
        set_toml(peer.folder / "peer.toml", settings)
        self.peers[name] = peer
        return peer

    def _line_settings(self, *, beside_pacs: bool) -> dict[str, Any]:
        settings: dict[str, Any] = {"line.lan": [LAN] if beside_pacs else []}
        if self.lines.uplink is not None:
            settings["line.uplink"] = self.lines.uplink
        if self.lines.downlink is not None:
            settings["line.downlink"] = self.lines.downlink
        return settings

    async def _token(self, name: str, role: str) -> str:
        """Registers a member as an administrator does, and reads the token off the page."""
        async with httpx.AsyncClient(
            base_url=self._web, timeout=HTTP_SECONDS, follow_redirects=True
        ) as http:
            login = {"name": ADMIN, "password": self._password}
            await _submit(http, "/login", "/login", login)
            member = {
                "name": name,
                "role": role,
                "uplink": self.lines.uplink or "",
                "downlink": self.lines.downlink or "",
                "read": "all" if role == "hospital" else "none",
            }
            page = await _submit(http, "/members/new", "/members", member)
        if page.token is None:
            raise ScriptError(f"the registration form showed no token for {name}: {page.alert}")
        return page.token


@asynccontextmanager
async def network(folder: Path, lines: Lines, pacs: str) -> AsyncIterator[Network]:
    """A network with its broker running; ends every process that it started."""
    async with AsyncExitStack() as stack:
        made = Network(folder, lines)
        stack.push_async_callback(_stop_all, made)
        await made.start_broker(pacs, stack)
        yield made


async def _stop_all(made: Network) -> None:
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            for peer in made.peers.values():
                nursery.start_soon(peer.stop)


# ---------------------------------------------------------------- the web form


class _Page(HTMLParser):
    """What a script needs of a page: hidden fields, the token, an alert."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self.token: str | None = None
        self.alert = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "input" and values.get("type") == "hidden":
            self.hidden[values.get("name") or ""] = values.get("value") or ""
        elif tag == "code" and values.get("id") == "token":
            self._inside = "token"
        elif values.get("role") == "alert":
            self._inside = "alert"

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "token":
            self.token = (self.token or "") + data.strip()
        elif self._inside == "alert":
            self.alert += data.strip()


async def _submit(
    http: httpx.AsyncClient, form: str, action: str, values: Mapping[str, str]
) -> _Page:
    """Opens the page with the form and sends it with its hidden fields, as a browser does."""
    shown = await http.get(form)
    shown.raise_for_status()
    sent = await http.post(action, data=_Page(shown.text).hidden | dict(values))
    page = _Page(sent.text)
    if sent.is_error:
        raise ScriptError(f"the web form at {action} answered {sent.status_code}: {page.alert}")
    return page


# ---------------------------------------------------------------- settings


def set_toml(path: Path, settings: Mapping[str, Any]) -> None:
    """Sets keys (``table.key``) in a TOML file, as somebody with an editor would."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for dotted, value in settings.items():
        table, key = dotted.rsplit(".", 1)
        header = lines.index(f"[{table}]") + 1
        end = next(
            (at for at in range(header, len(lines)) if lines[at].startswith("[")), len(lines)
        )
        body = [line for line in lines[header:end] if not line.startswith(f"{key} =")]
        lines[header:end] = [f"{key} = {toml_value(value)}", *body]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
