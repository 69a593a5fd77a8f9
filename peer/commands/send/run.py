"""``p2pacs send``: files go to the running peer; again to resume."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import trio
from attrs import frozen

from p2pacs.errors import (
    AuthenticationError,
    BrokenInstanceError,
    ForbiddenError,
    LocalError,
    NotAcceptableError,
    P2PacsError,
    PacsDataError,
    StateError,
    UsageError,
    first_of,
    local_error,
)
from p2pacs.limits import INSTANCE_BYTES, KIB
from p2pacs.output.json_object import JsonObject
from peer.api.client import PeerClient
from peer.commands.send.files import FileDigest, FoundFiles, digest_file, find_files
from peer.commands.send.outcome import SendOutcome

_TOGETHER: Final = 32
"""Files that the peer is asked for at once whether they came before."""

_PARALLEL: Final = 8
"""Files that go at once: the peer confirms those together that come together."""

_ClientWork = Callable[[PeerClient], Awaitable[None]]

_PIECE: Final = 256 * KIB

_OVER: Final = frozenset({"stored", "refused", "cancelled"})
"""States of a study of which nothing more is waited for (`peer.ingest.outgoing_state`)."""


@frozen
class SendOptions:
    """How files are sent."""

    force: bool = False
    """Whether to try files without the prefix of DICOM, too."""
    wait: bool = False
    """Whether to wait until the studies are in the central PACS, or refused."""
    to: tuple[str, ...] = ()
    """Members whom the studies are addressed to; none: as the settings say."""
    priority: str = "interactive"
    """How urgently they go out, and these fetch them."""


@frozen
class SendTuning:
    """How long a peer is waited for."""

    returns_seconds: float = 120.0
    """One that stopped has so long to be started again."""
    look_seconds: float = 1.0
    """Between two looks."""


TUNING: Final = SendTuning()
"""What is used unless a test hands in another."""


class SendWatcher(Protocol):
    """Who shows how far it is."""

    def found(self, files: int, size: int) -> None:
        """So many files, of so many bytes, are to be sent."""

    def moved(self, files: int, size: int) -> None:
        """So many files are done, and bytes are read of all."""

    def studies(self, studies: Sequence[JsonObject]) -> None:
        """How far studies are."""

    def away(self) -> None:
        """The peer stopped; it may be started again."""


async def send(
    folder: Path,
    named: Sequence[Path],
    watcher: SendWatcher,
    options: SendOptions = SendOptions(),
    tuning: SendTuning = TUNING,
) -> SendOutcome:
    """Send files; those that the peer has already are not sent again.

    When the peer stops meanwhile and is started again, this goes on.

    Args:
        folder: the peer's.
        named: files, folders, DICOMDIRs.
        watcher: shows how far it is.
        options: how they are sent.
        tuning: how long a peer that stopped is waited for.

    Raises:
        UsageError: a file does not exist, or there are none.
        NotFoundError: no member is called as the options say.
        StateError: the peer does not run, or sends nothing.
    """
    async with PeerClient.connect(folder) as client:
        await client.known(())  # whether it takes anything
        if options.to:
            await client.address((), options.to, options.priority)  # whether there are such
    found = await trio.to_thread.run_sync(lambda: find_files(named, force=options.force))
    if not found.files and not found.lost:
        if not found.others:
            raise UsageError(f"there are no files in {', '.join(map(str, named))}")
        hint = "" if options.force else "; data sets without their header are tried with --force"
        others = "one other file" if found.others == 1 else f"{found.others} other files"
        raise UsageError(f"there are no DICOM files, but {others}{hint}")
    run = _SendRun(folder, found, watcher, options, tuning)
    began = trio.current_time()
    try:
        await run.lasting(run.send_all)
        run.outcome.seconds = trio.current_time() - began
        await run.lasting(run.follow if options.wait else run.look)
    except P2PacsError as error:
        run.outcome.stopped = error
    return run.outcome


class _SendRun:
    """One run."""

    def __init__(
        self,
        folder: Path,
        found: FoundFiles,
        watcher: SendWatcher,
        options: SendOptions,
        tuning: SendTuning,
    ) -> None:
        self.outcome = SendOutcome(found=len(found.files), others=found.others)
        self._folder = folder
        self._found = found
        self._watcher = watcher
        self._options = options
        self._tuning = tuning
        self._addressed: set[str] = set()
        self._moved = 0
        self._read: dict[Path, int] = {}
        for path, error in found.lost.items():
            self.outcome.refuse(path, error)
        watcher.found(len(found.files), found.size)

    async def lasting(self, work: _ClientWork) -> None:
        """Do it, again when the peer was started again.

        Raises:
            StateError: it was not.
            P2PacsError: what it says.
        """
        gone: float | None = None
        while True:
            try:
                async with PeerClient.connect(self._folder) as client:
                    await client.known(())
                    gone = None
                    return await work(client)
            except (StateError, AuthenticationError):  # a new start has a new token
                now = trio.current_time()
                gone = now if gone is None else gone
                if now - gone >= self._tuning.returns_seconds:
                    raise
                self._watcher.away()
                await trio.sleep(self._tuning.look_seconds)

    # ------------------------------------------------------------ files

    async def send_all(self, client: PeerClient) -> None:
        """All files that are not done."""
        files = [path for path in self._found.files if path not in self.outcome.done]
        for first in range(0, len(files), _TOGETHER):
            await self._send_some(client, files[first : first + _TOGETHER])

    async def _send_some(self, client: PeerClient, files: Sequence[Path]) -> None:
        digests: dict[Path, FileDigest] = {}
        for path in files:
            try:
                digests[path] = await trio.to_thread.run_sync(digest_file, path)
            except (BrokenInstanceError, LocalError) as error:
                self._refuse(path, error)
        known = await client.known([one.json() for one in digests.values()])
        places = trio.CapacityLimiter(_PARALLEL)
        try:
            async with trio.open_nursery() as nursery:
                for (path, digest), before in zip(digests.items(), known, strict=True):
                    if before is None:
                        nursery.start_soon(self._send_one, client, path, digest, places)
                    else:
                        await self._add(client, path, digest, before)
                        self._tell(path, digest.size)
        except ExceptionGroup as group:
            known_error = first_of(group)
            if known_error is None:
                raise
            raise known_error from group

    async def _send_one(
        self, client: PeerClient, path: Path, digest: FileDigest, places: trio.CapacityLimiter
    ) -> None:
        async with places:
            try:
                if digest.size > INSTANCE_BYTES:
                    raise BrokenInstanceError("it is longer than an instance can be")
                said = await client.send(self._pieces(path, digest))
                await self._add(client, path, digest, said)
            except (PacsDataError, ForbiddenError, NotAcceptableError, _FileError) as error:
                self._refuse(path, error)
            else:
                self._tell(path, digest.size)

    async def _add(
        self, client: PeerClient, path: Path, digest: FileDigest, said: JsonObject
    ) -> None:
        """A file is on the peer's disk: its study is addressed with the first one."""
        uid, options = said["study_instance_uid"], self._options
        is_usual = not options.to and options.priority == SendOptions().priority
        if not is_usual and uid not in self._addressed:
            self._addressed.add(uid)
            await client.address([uid], options.to, options.priority)
        self.outcome.add(path, digest.size, said)

    async def _pieces(self, path: Path, digest: FileDigest) -> AsyncGenerator[bytes, None]:
        if digest.whole is not None:
            yield digest.whole
            return
        read = 0
        try:
            async with await trio.open_file(path, "rb") as file:
                while piece := await file.read(_PIECE):
                    yield piece
                    read += len(piece)
                    self._tell(path, read)
        except OSError as error:
            raise _FileError(str(local_error(error, "it cannot be read"))) from error

    def _refuse(self, path: Path, error: P2PacsError) -> None:
        self.outcome.refuse(path, error)
        self._tell(path, self._read.get(path, 0))

    def _tell(self, path: Path, read: int) -> None:
        """So many bytes of a file are read; of one that is sent again they count once."""
        self._moved += read - self._read.get(path, 0)
        self._read[path] = read
        self._watcher.moved(len(self.outcome.done), self._moved)

    # ------------------------------------------------------------ studies

    async def look(self, client: PeerClient) -> None:
        """See how far the studies are."""
        for study in await client.sent(list(self.outcome.studies)):
            self.outcome.studies[study["study_instance_uid"]] = study

    async def follow(self, client: PeerClient) -> None:
        """See how far the studies are, until all are in the PACS or refused."""
        while True:
            await self.look(client)
            studies = [one for one in self.outcome.studies.values() if one]
            self._watcher.studies(studies)
            if all(one["state"] in _OVER for one in studies):
                return
            await trio.sleep(self._tuning.look_seconds)


class _FileError(LocalError):
    """A file of this machine cannot be read: the others are sent all the same."""
