"""``p2pacs get``: a study as DICOM files in a folder, resumed where an earlier run stopped."""

from __future__ import annotations

import errno
import hashlib
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import trio
from attrs import define, field

from p2pacs.errors import (
    BrokenInstanceError,
    DiskFullError,
    LocalError,
    NoSourceError,
    P2PacsError,
    first_of,
)
from p2pacs.instance import EncodedInstance
from peer.client import PeerClient

Json = dict[str, Any]

GOODBYE: Final = 3.0
"""Seconds that the peer gets to stop a transfer that the operator broke off."""


class Watcher(Protocol):
    """Who shows how far it is."""

    def transfer(self, transfer: Json) -> None:
        """The transfer of the study, as ``GET /transfers`` says it."""

    def instance(self, done: int, known: int) -> None:
        """So many instances are written or kept, of so many known."""


@define
class Outcome:
    """What a run did."""

    study: str
    written: int = 0
    kept: int = 0
    transfer: Json = field(factory=dict)
    """The last that was heard of the transfer."""

    @property
    def instances(self) -> int:
        """Instances in the folder that are whole."""
        return self.written + self.kept

    def json(self) -> Json:
        """The outcome as ``--json`` prints it."""
        return {
            "study": self.study,
            "instances": self.instances,
            "written": self.written,
            "kept": self.kept,
            "bytes_received": self.transfer.get("bytes_received", 0),
            "seconds": self.transfer.get("seconds"),
            "sources": {
                name: source["bytes"] for name, source in self.transfer.get("sources", {}).items()
            },
        }


async def get(
    client: PeerClient, uid: str, out: Path, watcher: Watcher, priority: str = "interactive"
) -> Outcome:
    """Fetch a study into a folder; files there that are whole already are kept.

    Cancelling it stops the transfer, too, unless somebody else at the peer wants it.

    Raises:
        P2PacsError: what the peer says, or DiskFullError; files written so far stay.
    """
    await trio.to_thread.run_sync(_make_folder, out)
    outcome = Outcome(await client.fetch(uid, priority))
    done = False
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, client, outcome, watcher)
            await _write_all(client, outcome, out, watcher)
            done = True
            nursery.cancel_scope.cancel()
    except ExceptionGroup as group:
        known = first_of(group)
        if known is None:
            raise
        raise known from group
    finally:
        if not done:
            await _give_up(client, outcome)
    await _look(client, outcome, watcher)
    return outcome


async def _give_up(client: PeerClient, outcome: Outcome) -> None:
    """Nobody waits for the rest any more; this runs after a cancellation, too."""
    with trio.move_on_after(GOODBYE, shield=True), suppress(P2PacsError):
        await client.cancel(outcome.study)


async def _write_all(client: PeerClient, outcome: Outcome, out: Path, watcher: Watcher) -> None:
    async with client.instances(outcome.study) as lines, aclosing(lines):
        async for line in lines:
            if "waiting" in line:
                continue
            if "complete" in line:
                return
            number: int = line["number"]
            path = out / f"{number:05d}.dcm"
            if await trio.to_thread.run_sync(_is_whole, path, line["sha256"]):
                outcome.kept += 1
            else:
                file = await client.instance(outcome.study, number)
                await trio.to_thread.run_sync(_write, path, file)
                outcome.written += 1
            watcher.instance(outcome.instances, line["known"])
    raise NoSourceError("the peer stopped before the study was whole: run the command again")


async def _watch(client: PeerClient, outcome: Outcome, watcher: Watcher) -> None:
    async with client.events() as lines, aclosing(lines):
        async for line in lines:
            _heard(outcome, line["transfers"], watcher)


async def _look(client: PeerClient, outcome: Outcome, watcher: Watcher) -> None:
    status = await client.status()
    _heard(outcome, status["transfers"], watcher)


def _heard(outcome: Outcome, transfers: list[Json], watcher: Watcher) -> None:
    for transfer in transfers:
        if transfer["study"] == outcome.study:
            outcome.transfer = transfer
            watcher.transfer(transfer)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LocalError(f"cannot make the folder {out}: {error.strerror}") from error


def _is_whole(path: Path, sha256: str) -> bool:
    """Whether the file holds just the data set with this hash."""
    try:
        data = EncodedInstance.from_part10(path.read_bytes()).data
    except (FileNotFoundError, BrokenInstanceError):
        return False
    return hashlib.sha256(data).hexdigest() == sha256


def _write(path: Path, file: bytes) -> None:
    """Write beside and rename. No flush for each file: a later run checks every hash."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(file)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else LocalError
        raise kind(
            f"cannot write to {path.parent}: {error.strerror}; mend that and run the command again"
        ) from error
