"""``p2pacs get``: a study as DICOM files in a folder, resumed where an earlier run stopped."""

from __future__ import annotations

from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final, Protocol

import trio
from attrs import frozen

from p2pacs.concurrency.budget import Budget
from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import (
    AuthenticationError,
    P2PacsError,
    StateError,
    first_of,
)
from p2pacs.files.private_files import new_folder
from p2pacs.output.json_object import JsonObject
from peer.api.client import PeerClient
from peer.commands.get.folder import FileOrder, StudyFolder
from peer.commands.get.outcome import GetOutcome
from peer.commands.get.preview import PreviewSheet
from peer.retrieval.instances.read_ahead import AHEAD, AHEAD_BYTES

GOODBYE: Final = 3.0
"""Seconds that the peer gets to stop a transfer that the operator broke off."""


@frozen
class GetTuning:
    """How long a peer that stopped is waited for."""

    returns_seconds: float = 120.0
    """It has so long to be started again."""
    look_seconds: float = 0.5
    """Between two looks whether it was."""


TUNING: Final = GetTuning()
"""What is used unless a test hands in another."""


class ProgressWatcher(Protocol):
    """Who shows how far it is."""

    def transfer(self, transfer: JsonObject) -> None:
        """The transfer of the study, as ``GET /transfers`` says it."""

    def instance(self, done: int, known: int) -> None:
        """So many instances are written or kept, of so many known."""

    def previews(self, here: int, known: int, *, sheet: bool) -> None:
        """So many of the known instances can be shown; and whether the sheet with all is there."""

    def away(self) -> None:
        """The peer stopped; it may be started again."""


async def get(
    folder: Path,
    uid: str,
    out: Path,
    watcher: ProgressWatcher,
    priority: str = "interactive",
    *,
    preview: Path | None = None,
    tuning: GetTuning = TUNING,
) -> GetOutcome:
    """Fetch a study into a folder; files there that are whole already are kept.

    When the peer stops meanwhile and is started again, this goes on. Cancelling it stops the
    transfer, too, unless somebody else at the peer wants it.

    Args:
        folder: The peer's.
        uid: Study Instance UID.
        out: Where the files go.
        watcher: Shows how far it is.
        priority: A name of `p2pacs.swarm.scheduling.priority`.
        preview: Where a contact sheet goes as soon as there is something to see, if at all.
        tuning: How long a peer that stopped is waited for.

    Raises:
        LocalError: The folder cannot be made, or its disk is full.
        StateError: The peer does not run, or stopped and was not started again.
        P2PacsError: What the peer says; files written so far stay, and no empty folder does.
    """
    sheet = None if preview is None else PreviewSheet(preview, watcher)
    outcome: GetOutcome | None = None
    patience = _RetryBudget(tuning.returns_seconds)
    with new_folder(out, keep=True), await trio.to_thread.run_sync(StudyFolder, out) as files:
        while True:
            try:
                async with PeerClient.connect(folder) as client:
                    begun = await client.begin(uid, priority)
                    outcome = outcome or GetOutcome(begun["study"], before=begun.get("transfer"))
                    patience.renew()
                    await _take_all(client, outcome, files, watcher, sheet)
                    if sheet is not None:
                        outcome.sheet = sheet.json()
                    return outcome
            except (StateError, AuthenticationError):  # a new start has a new token
                if outcome is None or not patience.lasts:
                    raise
                outcome.interrupted()
                watcher.away()
                await trio.sleep(tuning.look_seconds)


class _RetryBudget:
    """With a peer that is away."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    def renew(self) -> None:
        """It is there."""
        self._since = None

    @property
    def lasts(self) -> bool:
        """Whether it is worth while to wait (from the first look on)."""
        now = trio.current_time()
        self._since = now if self._since is None else self._since
        return now - self._since < self._seconds


async def _take_all(
    client: PeerClient,
    outcome: GetOutcome,
    files: StudyFolder,
    watcher: ProgressWatcher,
    sheet: PreviewSheet | None,
) -> None:
    """Write the instances as they become whole, and the sheet; tell the watcher.

    Raises:
        StateError: The peer stopped.
        P2PacsError: What the peer says, or DiskFullError.
    """
    wanted = True
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, client, outcome, watcher)
            async with trio.open_nursery() as writers:
                if sheet is not None:
                    writers.start_soon(sheet.follow, client, outcome.study)
                await _write_all(client, outcome, files, watcher)
            wanted = False
            nursery.cancel_scope.cancel()
    except ExceptionGroup as group:
        known = first_of(group)
        if known is None:
            raise
        wanted = not isinstance(known, StateError)  # a peer that stopped goes on by itself
        raise known from group
    finally:
        if wanted:
            await _give_up(client, outcome)
    await _look(client, outcome, watcher)


async def _give_up(client: PeerClient, outcome: GetOutcome) -> None:
    """Nobody waits for the rest any more; this runs after a cancellation, too."""
    with trio.move_on_after(GOODBYE, shield=True), suppress(P2PacsError):
        await client.cancel(outcome.study)


async def _write_all(
    client: PeerClient, outcome: GetOutcome, files: StudyFolder, watcher: ProgressWatcher
) -> None:
    writing = _Files(client, outcome, files, watcher)
    why: P2PacsError = StateError(
        "the peer stopped before the study was whole: run the command again"
    )
    async with (
        client.instances(outcome.study) as lines,
        aclosing(lines),
        trio.open_nursery() as nursery,
    ):
        try:
            async for line in lines:
                if "waiting" in line:
                    continue
                if "complete" in line:
                    outcome.left_out, outcome.why = line.get("left_out", 0), line.get("why", "")
                    return
                await writing.begin(line, nursery)
        except P2PacsError as error:  # what was begun is written all the same
            why = error
    raise why


class _Files:
    """Files on their way: the peer decodes on all cores if several are asked for at once."""

    def __init__(
        self,
        client: PeerClient,
        outcome: GetOutcome,
        files: StudyFolder,
        watcher: ProgressWatcher,
    ) -> None:
        self._client = client
        self._outcome = outcome
        self._files = files
        self._watcher = watcher
        self._budget = Budget(AHEAD_BYTES)
        self._places = trio.CapacityLimiter(AHEAD)
        self._last: dict[int, trio.Event] = {}

    async def begin(self, line: JsonObject, nursery: trio.Nursery) -> None:
        """Have an instance written, as soon as there is room for one more."""
        number, done = line["number"], trio.Event()
        before, self._last[number] = self._last.get(number), done
        await self._budget.acquire(min(line["size"], WHOLE_BYTES))
        await self._places.acquire_on_behalf_of(done)
        nursery.start_soon(self._keep, line, before, done)

    async def _keep(self, line: JsonObject, before: trio.Event | None, done: trio.Event) -> None:
        outcome, number, digest = self._outcome, line["number"], line["sha256"]
        if before is not None:  # it has changed meanwhile, and the newer one must stay
            await before.wait()
        order = FileOrder.of(line)
        if outcome.whole.get(number) == digest:
            pass
        elif await trio.to_thread.run_sync(self._files.holds, order, digest):
            outcome.kept += 1
        else:
            await self._bring(order, line["size"])
            outcome.written += 1
        outcome.whole[number] = digest
        self._watcher.instance(outcome.instances, line["known"])
        done.set()
        self._budget.release(min(line["size"], WHOLE_BYTES))
        self._places.release_on_behalf_of(done)

    async def _bring(self, order: FileOrder, size: int) -> None:
        client, study = self._client, self._outcome.study
        if size <= WHOLE_BYTES:
            file = await client.instance(study, order.number)
            await trio.to_thread.run_sync(self._files.write, order, file)
            return
        with self._files.writing(order) as written:
            async with client.instance_pieces(study, order.number) as pieces:
                async for piece in pieces:
                    await trio.to_thread.run_sync(written.write, piece)


async def _watch(client: PeerClient, outcome: GetOutcome, watcher: ProgressWatcher) -> None:
    async with client.events() as lines, aclosing(lines):
        async for line in lines:
            _heard(outcome, line["transfers"], watcher)


async def _look(client: PeerClient, outcome: GetOutcome, watcher: ProgressWatcher) -> None:
    status = await client.status()
    _heard(outcome, status["transfers"], watcher)


def _heard(outcome: GetOutcome, transfers: list[JsonObject], watcher: ProgressWatcher) -> None:
    for transfer in transfers:
        if transfer["study"] == outcome.study:
            watcher.transfer(outcome.heard(transfer))
