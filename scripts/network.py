"""A whole p2pacs network: broker, replicas and hospitals as processes of their own.

On loopback, unless told otherwise, every process listens on an address of its own out of
127.0.0.0/8 and dials out from it, so a line can be told from a LAN as on real machines: broker
and replicas share 127.1.0.0/16, their LAN; hospitals lie outside it. Members are admitted as an
administrator does it, through the web form, and configured as on a real machine, by their TOML
file.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import trio
from attrs import frozen

from p2pacs.errors import P2PacsError
from p2pacs.settings import toml_value
from scripts.form import Administrator, administrator
from scripts.member import PeerProcess
from scripts.place import LoopbackSite, Site
from scripts.program import (
    P2PACS,
    Command,
    Program,
    ScriptError,
    free_port,
    leaves,
    output_of,
    running,
    tail,
)

HTTP_SECONDS = 30.0
ADMIN = "admin"


@frozen
class LineRates:
    """What registration and settings say of a member's line: rates as ``800kbit``, or None."""

    uplink: str | None
    downlink: str | None


class Network:
    """Broker and members in one folder. Make one with `network`."""

    def __init__(
        self, folder: Path, lines: LineRates, site: Site, settings: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self.lines = lines
        self._settings = settings
        self._site = site
        self._broker_place = site.place(site.broker)
        self.peers: dict[str, PeerProcess] = {}
        self.broker: Program | None = None
        self._web_port = free_port(self._broker_place.local)
        self.web = f"http://{self._broker_place.local}:{self._web_port}"
        """The administrator's pages."""
        self.password = folder / "password"
        """File with the password of `ADMIN`."""
        self._administrator: Administrator | None = None

    @property
    def programs(self) -> Iterator[Program]:
        """All that run now."""
        yield from (program for program in self._all() if program.returncode is None)

    def _all(self) -> list[Program]:
        programs = (self.broker, *(peer.program for peer in self.peers.values()))
        return [program for program in programs if program is not None]

    def logs(self) -> Iterator[str]:
        """The ends of the logs that may tell what went wrong."""
        ended = [program for program in self._all() if program.returncode]
        for program in ended or self._all():
            state = "runs" if program.returncode is None else f"exit code {program.returncode}"
            yield f"{program.name} ({state}), the end of its log:\n{tail(program.log)}"

    @contextmanager
    def explained(self) -> Iterator[None]:
        """An error of the block shows what the programs logged."""
        try:
            yield
        except* P2PacsError as errors:
            said = "; ".join(str(error) for error in leaves(errors))
            raise ScriptError("\n".join([said, *self.logs()])) from errors

    async def start_broker(self, pacs: str, stack: AsyncExitStack) -> None:
        """Makes the broker of the PACS at this address and runs it."""
        folder, log = self.folder / "broker", self.folder / "broker.log"
        password, secret = self.password, secrets.token_urlsafe(16)
        password.touch(mode=0o600)
        password.write_text(secret + "\n", encoding="ascii")
        place, port = self._broker_place, free_port(self._broker_place.local)
        command: Command = [*place.prefix, *P2PACS, "broker", "init", folder, "--pacs", pacs]
        for host in place.hosts:
            command += ["--listen", f"{host}:{port}", "--advertise", f"{host}:{port}"]
        command += ["--web", self.web.removeprefix("http://")]
        command += ["--admin", ADMIN, "--password-file", password]
        await output_of("p2pacs broker init", command, log)
        settings: dict[str, Any] = {"line.lan": [place.lan], **self._settings}
        for key, rate in (("uplink", self.lines.uplink), ("downlink", self.lines.downlink)):
            if rate is not None:
                settings[f"line.{key}"] = rate
        set_toml(folder / "broker.toml", settings)
        await self.run_broker(stack)
        login = {"name": ADMIN, "password": secret}
        self._administrator = await stack.enter_async_context(administrator(self.web, login))

    async def run_broker(self, stack: AsyncExitStack) -> None:
        """Runs the broker, again if it has ended; ``stack`` ends it."""
        command = [*self._broker_place.prefix, *P2PACS, "broker", "run", self.folder / "broker"]
        log = self.folder / "broker.log"
        broker = await stack.enter_async_context(running("broker", command, log))
        self.broker = broker
        await self._broker_place.reach(self._web_port)
        await broker.ready(self._form_answers)

    async def _form_answers(self) -> bool:
        try:
            async with httpx.AsyncClient(timeout=HTTP_SECONDS, trust_env=False) as http:
                return (await http.get(f"{self.web}/login")).is_success
        except httpx.HTTPError:
            return False

    async def add(
        self, name: str, role: str, host: str, workstations: Mapping[str, str] | None = None
    ) -> PeerProcess:
        """Registers a member through the web form, joins it and configures its lines.

        Args:
            name: its name, and its folder's.
            role: ``replica`` or ``hospital``.
            host: where it is; on loopback, its address out of 127.0.0.0/8.
            workstations: where its gateway may send to: AE title to HOST:PORT.
        """
        place = self._site.place(host)
        peer = PeerProcess(
            name=name,
            place=place,
            folder=self.folder / name,
            aet=name.upper().replace("-", "_")[:16],
            dicom_port=free_port(place.local),
            api_port=free_port(place.local),
        )
        token, port = await self._token(name, role), free_port(place.local)
        command: Command = [*place.prefix, *P2PACS, "peer", "join", peer.folder]
        for one in place.hosts:
            command += ["--listen", f"{one}:{port}"]
        for one in place.told:
            command += ["--advertise", f"{one}:{port}"]
        command += ["--aet", peer.aet, "--dicom", f"{place.local}:{peer.dicom_port}"]
        command += ["--api", f"{place.local}:{peer.api_port}"]
        for aet, endpoint in (workstations or {}).items():
            command += ["--workstation", f"{aet}={endpoint}"]
        await output_of("p2pacs peer join", command, self.folder / f"{name}.log", given=token)
        if place.lan is not None:
            set_toml(peer.folder / "peer.toml", {"line.lan": [place.lan]})
        await place.reach(peer.api_port)
        self.peers[name] = peer
        return peer

    async def _token(self, name: str, role: str) -> str:
        """Registers a member as an administrator does; its token."""
        if self._administrator is None:
            raise ScriptError("the broker was not started")
        return await self._administrator.register(
            {
                "name": name,
                "role": role,
                "uplink": self.lines.uplink or "",
                "downlink": self.lines.downlink or "",
                "read": "all" if role == "hospital" else "none",
            }
        )


@asynccontextmanager
async def network(
    folder: Path,
    lines: LineRates,
    pacs: str,
    site: Site | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Network]:
    """A network with its broker running; ends every process that it started.

    Args:
        folder: where everything is kept.
        lines: what members say of their lines.
        pacs: address of the broker's PACS.
        site: where broker and members are; None for loopback.
        settings: more of the broker's, as `set_toml` takes them.
    """
    async with AsyncExitStack() as stack:
        made = Network(folder, lines, site or LoopbackSite(), settings or {})
        stack.push_async_callback(_stop_all, made)
        await made.start_broker(pacs, stack)
        yield made


async def _stop_all(made: Network) -> None:
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            for peer in made.peers.values():
                nursery.start_soon(peer.stop)


def set_toml(path: Path, settings: Mapping[str, Any]) -> None:
    """Sets keys (``table.key``, or ``key``) in a TOML file, as somebody with an editor would."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for dotted, value in settings.items():
        table, _, key = dotted.rpartition(".")
        header = lines.index(f"[{table}]") + 1 if table else 0
        end = next(
            (at for at in range(header, len(lines)) if lines[at].startswith("[")), len(lines)
        )
        body = [line for line in lines[header:end] if not line.startswith(f"{key} =")]
        lines[header:end] = [f"{key} = {toml_value(value)}", *body]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
