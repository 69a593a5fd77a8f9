"""A member of a script's network, seen from its own machine: process, local API, gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from attrs import define, field, frozen

from p2pacs.dicom.remote import DimseRemote
from scripts.program import (
    P2PACS,
    POLL_SECONDS,
    START_SECONDS,
    Command,
    Program,
    ScriptError,
    running,
)

HTTP_SECONDS = 30.0


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

    async def is_complete(self) -> bool:
        """Whether its newest transfer is complete.

        Raises:
            ScriptError: the transfer failed.
        """
        state = await self.transfer()
        if state is not None and state.state == "failed":
            raise ScriptError(f"{self.name} could not fetch the study")
        return state is not None and state.state == "complete"

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
