"""A member of a script's network, seen from its own machine: process, local API, gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from p2pacs.dimse.association.remote import DimseRemote
from peer.api.client import PeerClient
from scripts.place import Place
from scripts.program import (
    P2PACS,
    POLL_SECONDS,
    START_SECONDS,
    Command,
    Program,
    ScriptError,
    running,
)


@frozen
class TransferFigures:
    """How far a peer is with fetching a study."""

    study: str
    state: str
    """``fetching``, ``complete`` or ``failed``."""
    bytes_received: int
    bytes_held: int
    bytes_total: int
    sources: dict[str, int]
    """Bytes from each uploader by name."""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> TransferFigures:
        """What the local API says of one transfer."""
        return cls(
            study=said["study"],
            state=said["state"],
            bytes_received=said["bytes_received"],
            bytes_held=said["bytes_held"],
            bytes_total=said["bytes_total"],
            sources={name: source["bytes"] for name, source in said["sources"].items()},
        )


@define
class PeerProcess:
    """One member: a replica or a hospital."""

    name: str
    place: Place
    folder: Path
    aet: str
    dicom_port: int
    api_port: int
    program: Program | None = None
    """None until `start`."""
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    async def transfer(self) -> TransferFigures | None:
        """The newest transfer; None before the first one."""
        async with PeerClient.connect(self.folder) as client:
            said = (await client.status())["transfers"]
            return TransferFigures.of(said[0]) if said else None

    async def knows(self, study_uid: str) -> bool:
        """Whether its catalogue lists the study."""
        async with PeerClient.connect(self.folder) as client:
            return bool(await client.find({"study_instance_uid": study_uid}))

    async def fetch(self, study_uid: str) -> None:
        """Has it fetch a study, as `p2pacs get` does; returns at once."""
        async with PeerClient.connect(self.folder) as client:
            await client.fetch(study_uid)

    @property
    def gateway(self) -> DimseRemote:
        """The PACS that workstations see."""
        return DimseRemote(self.aet, self.place.local, self.dicom_port)

    async def ready(
        self,
        probe: Callable[[], Awaitable[bool]],
        seconds: float = START_SECONDS,
        poll: float = POLL_SECONDS,
    ) -> None:
        """Waits until ``probe`` says yes (see `Program.ready`)."""
        if self.program is None:
            raise ScriptError(f"{self.name} was not started")
        await self.program.ready(probe, seconds, poll)

    async def answers(self) -> bool:
        """Whether its API listens, which is the last thing that it starts."""
        return self.place.answers(self.api_port)

    async def complete(self, poll: float, seconds: float) -> None:
        """Waits until its newest transfer is complete.

        Raises:
            ScriptError: the transfer failed, or took too long.
        """
        async with PeerClient.connect(self.folder) as client:

            async def is_complete() -> bool:
                newest = (await client.status())["transfers"][:1]
                if any(one["state"] == "failed" for one in newest):
                    raise ScriptError(f"{self.name} could not fetch: {newest[0]['error']}")
                return any(one["state"] == "complete" for one in newest)

            await self.ready(is_complete, seconds, poll)

    async def start(self) -> None:
        """Runs it until `stop`, or until the network ends."""
        log = self.folder.with_suffix(".log")
        command: Command = [*self.place.prefix, *P2PACS, "peer", "run", self.folder]
        program = await self._stack.enter_async_context(running(self.name, command, log))
        self.program = program
        await program.ready(self.answers)

    async def stop(self) -> None:
        """Ends its process; its folder stays."""
        await self._stack.aclose()
