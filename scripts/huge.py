"""`scripts/bench store --huge GB`: one instance of gigabytes the whole way, and what it costs.

DCMTK's storescu stores it at a hospital; from there it goes to the broker, the PACS (the embedded
one, which is measured, too) and another hospital, where it is read by WADO-RS, C-GET and C-MOVE.
Each part has figures of its own: memory of every program with its workers, and seconds.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import asdict, define, field

from p2pacs.limits import MIB
from p2pacs.output.json_object import JsonObject
from scripts.huge_file import HugeFile, Kind, data_set_digest, make
from scripts.member import PeerProcess
from scripts.network import LineRates, Network, network, set_toml
from scripts.pacs import EmptyPacs, open_empty_pacs
from scripts.program import Command, Program, ScriptError, free_port, output_of
from scripts.steps import CATALOGUE_SECONDS, POLL_SECONDS
from scripts.used_memory import UsedMemory, watched_memory
from tests.components import StoreScp, storescp

MEMORY: Final = 300_000_000
"""Bytes of all processes of each program."""
SECONDS: Final = 1800.0
"""For each part, at most."""
IDLE_SECONDS: Final = 30.0
GIGABYTE: Final = 1_000_000_000
SENDER: Final = ("hospital-a", "127.2.0.1")
READER: Final = ("hospital-b", "127.2.0.2")
READINGS: Final = ("wado", "get", "move")
ACCEPT: Final = "application/dicom; transfer-syntax=*"
STORE_OPTIONS: Final = {Kind.ENCAPSULATED: "-xv", Kind.ONE_FRAGMENT: "-xn"}
_GET_OPTIONS: Final = {Kind.ENCAPSULATED: "+xv", Kind.ONE_FRAGMENT: "+xn"}


def kind_of(given: argparse.Namespace) -> Kind:
    """What the command line asks for."""
    if given.one_frame:
        return Kind.ONE_FRAGMENT if given.encapsulated else Kind.ONE_FRAME
    return Kind.ENCAPSULATED if given.encapsulated else Kind.NATIVE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what asks for a huge instance."""
    add = parser.add_argument
    add("--huge", type=float, metavar="GB", help="one instance of so many gigabytes instead")
    add("--encapsulated", action="store_true", help="compressed before: no coding makes it smaller")
    add("--one-frame", action="store_true", help="all of it is one frame")


@define
class _Parts:
    """Figures of the parts of the way."""

    programs: Callable[[], Iterator[Program]]
    figures: JsonObject = field(factory=dict)
    within: bool = True

    @asynccontextmanager
    async def measured(self, name: str) -> AsyncIterator[None]:
        """One part."""
        begin = time.monotonic()
        async with watched_memory(self.programs()) as memory:
            yield
        self.within = self.within and all(one.together < MEMORY for one in memory.values())
        self.figures[name] = {
            "seconds": round(time.monotonic() - begin, 1),
            "memory": {program: _megabytes(used) for program, used in memory.items()},
        }


def _megabytes(used: UsedMemory) -> dict[str, int]:
    return {name: size // 1_000_000 for name, size in asdict(used).items()}


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """The figures; ``passed`` if it came out exact everywhere, within the memory."""
    kind = kind_of(given)
    size = int(given.huge * GIGABYTE)
    file = await trio.to_thread.run_sync(make, folder / "huge.dcm", size, kind)
    unpaced = LineRates(None, None)
    with storescp(folder / "moved", "+xa") as station:
        async with (
            open_empty_pacs("embedded", folder) as pacs,
            network(folder, unpaced, pacs.address) as net,
        ):
            way = await _Way.begin(net, pacs, station, file, kind)
            with net.explained():
                exact = await way.go()
    return {
        "passed": way.parts.within and all(exact.values()),
        "bytes": file.size,
        "kind": str(kind),
        "memory_goal": MEMORY,
        "parts": way.parts.figures,
        "exact": exact,
        "load": round(os.getloadavg()[0], 1),
    }


@define
class _Way:
    """One instance on its way."""

    pacs: EmptyPacs
    station: StoreScp
    file: HugeFile
    kind: Kind
    folder: Path
    sender: PeerProcess
    reader: PeerProcess
    dicomweb: int
    """Port of the reader's."""
    parts: _Parts

    @classmethod
    async def begin(
        cls, net: Network, pacs: EmptyPacs, station: StoreScp, file: HugeFile, kind: Kind
    ) -> _Way:
        """With all members running."""
        port = free_port(READER[1])
        sender = await net.add(SENDER[0], "hospital", SENDER[1])
        set_toml(sender.folder / "peer.toml", {"sending.enabled": True})
        stations = {station.aet: f"127.0.0.1:{station.port}"}
        reader = await net.add(READER[0], "hospital", READER[1], stations)
        set_toml(reader.folder / "peer.toml", {"gateway.dicomweb": f"{READER[1]}:{port}"})
        await sender.start()
        await reader.start()
        archive = (pacs.program,) if pacs.program is not None else ()

        def programs() -> Iterator[Program]:
            yield from (*net.programs, *archive)

        return cls(pacs, station, file, kind, net.folder, sender, reader, port, _Parts(programs))

    async def go(self) -> dict[str, bool]:
        """All parts; which of them gave back what was stored."""
        digest = await trio.to_thread.run_sync(data_set_digest, self.file.path)
        async with self.parts.measured("store"):
            await self._store()
        async with self.parts.measured("home"):
            await self._until_home()
            await self._settled()
        (kept,) = (self.folder / "archive").glob("*.dcm")
        stored = await trio.to_thread.run_sync(data_set_digest, kept)
        exact = {"pacs": stored == digest}
        self.file.path.unlink()
        await self.reader.ready(partial(self.reader.knows, self.file.study_uid), CATALOGUE_SECONDS)
        for name in READINGS:
            async with self.parts.measured(name):
                given = await self._read(name)
            exact[name] = given == stored
            await self._settled()
        return exact

    async def _store(self) -> None:
        remote = self.sender.gateway
        command: Command = ["storescu", "-aec", remote.aet]
        command += [STORE_OPTIONS[self.kind]] if self.kind in STORE_OPTIONS else []
        command += [remote.host, str(remote.port), self.file.path]
        log = self.folder / "storescu.log"
        await output_of("storescu", command, log, seconds=SECONDS)

    async def _until_home(self) -> None:
        with trio.move_on_after(SECONDS):
            while self.pacs.count() < 1:
                await trio.sleep(POLL_SECONDS)
            return
        raise ScriptError("what was stored did not come into the PACS")

    async def _settled(self) -> None:
        for program in self.parts.programs():
            await program.idle(IDLE_SECONDS)

    async def _read(self, name: str) -> str:
        if name == "wado":
            return await trio.to_thread.run_sync(self._wado)
        into = self.station.folder if name == "move" else self.folder / "got"
        into.mkdir(exist_ok=True)
        remote = self.reader.gateway
        command: Command = [f"{name}scu", "-S", "-aec", remote.aet]
        if name == "move":
            command += ["-aem", self.station.aet]
        else:
            command += ["+B", "-od", into]
            command += [_GET_OPTIONS[self.kind]] if self.kind in _GET_OPTIONS else []
        command += ["-k", "QueryRetrieveLevel=STUDY"]
        command += ["-k", f"StudyInstanceUID={self.file.study_uid}"]
        command += [remote.host, str(remote.port)]
        log = self.folder / f"{name}scu.log"
        await output_of(f"{name}scu", command, log, seconds=SECONDS)
        files = [path for path in into.iterdir() if path.is_file()]
        if len(files) != 1:
            raise ScriptError(f"{name}scu brought {len(files)} files")
        digest = await trio.to_thread.run_sync(data_set_digest, files[0])
        files[0].unlink()
        return digest

    def _wado(self) -> str:
        """Into a file: a client that hashes meanwhile would be what is slow."""
        path = (
            f"/dicom-web/studies/{self.file.study_uid}/series/{self.file.series_uid}"
            f"/instances/{self.file.instance_uid}"
        )
        connection = http.client.HTTPConnection(READER[1], self.dicomweb, timeout=SECONDS)
        into = self.folder / "wado.dcm"
        try:
            connection.request("GET", path, headers={"Accept": ACCEPT})
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise ScriptError(f"WADO-RS: HTTP status {answer.status}: {answer.read(500)!r}")
            with into.open("wb") as file:
                shutil.copyfileobj(answer, file, MIB)
            return data_set_digest(into)
        finally:
            connection.close()
            with suppress(FileNotFoundError):
                into.unlink()
