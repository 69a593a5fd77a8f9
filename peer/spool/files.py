"""The files of the spool: written piece by piece, as long as there is room.

Names are random: nothing of a patient is in them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
from attrs import frozen

from p2pacs.errors import CorruptStoreError, DiskFullError, local_error
from p2pacs.files.private_files import make_private_folder
from p2pacs.limits import MIB
from p2pacs.store.positioned import PLAIN, read_at, sync_folder

log = structlog.get_logger(__name__)

_ENDING: Final = ".dcm"

SYNC_BYTES: Final = 64 * MIB
"""So much of a file is written before it is made durable on the way: the last fsync, which whoever
sends waits for, has no gigabytes to write then."""


@frozen
class FileSpan:
    """A file from some byte on."""

    path: Path
    start: int

    def read(self, first: int, end: int) -> bytes:
        """These bytes of it (the first, and the one after the last).

        Raises:
            CorruptStoreError: they are not there.
            LocalError: they cannot be read.
        """
        pieces, at = [], first
        try:
            handle = os.open(self.path, os.O_RDONLY | PLAIN)
            try:
                while at < end and (piece := read_at(handle, end - at, self.start + at)):
                    pieces.append(piece)
                    at += len(piece)
            finally:
                os.close(handle)
        except FileNotFoundError as error:
            raise CorruptStoreError(f"{self.path.name} in the spool is lost") from error
        except OSError as error:
            raise local_error(error, f"cannot read {self.path.name} in the spool") from error
        if at < end:
            raise CorruptStoreError(f"{self.path.name} in the spool was cut off")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class SpoolFile:
    """A file that is being written. `discard` or `close` it."""

    def __init__(self, files: SpoolFiles, path: Path) -> None:
        """Make it.

        Raises:
            OSError: it cannot be made.
        """
        self.path = path
        self._files = files
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN
        self._handle: int | None = os.open(path, flags, 0o600)
        self._unsynced = 0

    def write(self, data: bytes | bytearray) -> None:
        """Write all of it behind what is there.

        Raises:
            DiskFullError: it would not leave room enough.
            LocalError: it cannot be written.
        """
        with self._files.room(len(data)), _told("cannot keep what was sent here"):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._open, rest) :]
        self._unsynced += len(data)
        if self._unsynced >= SYNC_BYTES:
            self.sync()

    def sync(self) -> None:
        """Make what was written durable.

        Raises:
            LocalError: it cannot be.
        """
        with _told("cannot keep what was sent here"):
            os.fsync(self._open)
        self._unsynced = 0

    def close(self) -> None:
        """It stays as it is."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)

    def discard(self) -> None:
        """It goes."""
        self.close()
        self._files.remove(self.path.name)

    @property
    def _open(self) -> int:
        if self._handle is None:
            raise ValueError("the file is closed")
        return self._handle


class SpoolFiles:
    """All files in one folder; threads may use it at once."""

    def __init__(self, folder: Path, *, reserve: int) -> None:
        """Make the folder if it is missing.

        Args:
            folder: its own.
            reserve: bytes of the disk that stay free: what does not leave them is refused.

        Raises:
            LocalError: it cannot be made.
        """
        self._folder = folder
        self._reserve = reserve
        self._coming = 0
        self._counting = threading.Lock()
        with _told(f"cannot make {folder}"):
            make_private_folder(folder)

    def create(self) -> SpoolFile:
        """A new file.

        Raises:
            LocalError: it cannot be made.
        """
        with _told("cannot keep what was sent here"):
            return SpoolFile(self, self.path(secrets.token_hex(16) + _ENDING))

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self._folder / name

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Room for bytes that are about to be written.

        Raises:
            DiskFullError: they would not leave room enough.
        """
        with self._counting:
            free = shutil.disk_usage(self._folder).free
            if free - self._coming - size < self._reserve:
                raise DiskFullError(
                    "no room for what is sent here: free space on the disk, or look why what came "
                    "before is not delivered (p2pacs status DIR)"
                )
            self._coming += size
        try:
            yield
        finally:
            with self._counting:
                self._coming -= size

    def sync(self) -> None:
        """Make the names of files durable.

        Raises:
            LocalError: they cannot be.
        """
        with _told("cannot keep what was sent here"):
            sync_folder(self._folder)

    def remove(self, name: str) -> None:
        """A file goes, at the next start at the latest."""
        with suppress(OSError):
            self.path(name).unlink()

    def remove_others(self, known: Collection[str]) -> None:
        """Files of which nobody was told go."""
        found = {path.name for path in self._folder.iterdir()}
        for name in found.difference(known):
            self.remove(name)
        if gone := set(known) - found:
            log.error("files of the spool are gone", count=len(gone))


@contextmanager
def _told(what: str) -> Iterator[None]:
    """An error of the system as one that says what could not be done."""
    try:
        yield
    except OSError as error:
        raise local_error(error, what) from error
