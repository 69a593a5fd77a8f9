"""A DICOM file of the archive: written while it comes, and of a large one never all in memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from p2pacs.dataset.incoming import InstanceUids
from p2pacs.dataset.instance import EncodedInstance, part10_head
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.errors import CorruptStoreError, DiskFullError, LocalError
from p2pacs.limits import MIB

_HEAD: Final = MIB
"""Bytes in which group 0002 ends: a few UIDs."""

_BLOCK: Final = MIB
"""Bytes of a large file that are read, or written, in one go."""

Keep = Callable[[Path, EncodedInstance | LargeInstance], None]
"""Takes a file over that is whole and on the disk, or raises `P2PacsError`; and what is in it."""


class ArchivedFile:
    """An instance on its way into the folder (a `p2pacs.dataset.incoming.IncomingInstance`)."""

    def __init__(self, path: Path, uids: InstanceUids, keep: Keep) -> None:
        """Begin it.

        Args:
            path: a name that nothing else has.
            uids: of the instance.
            keep: takes it over.

        Raises:
            DiskFullError, LocalError: it cannot be made.
        """
        self._path = path
        self._keep = keep
        with _told():
            self._file = path.open("wb", buffering=_BLOCK)
            self._file.write(part10_head(uids.sop_class, uids.instance, uids.transfer_syntax))

    def write(self, piece: bytes) -> None:
        """The next bytes.

        Raises:
            DiskFullError, LocalError: they cannot be written.
        """
        with _told():
            self._file.write(piece)

    def keep(self) -> None:
        """That was all: it is on the disk when this returns.

        Raises:
            P2PacsError: it is not kept.
        """
        with _told():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            instance = open_instance(self._path)
            self._keep(self._path, instance)

    def close(self) -> None:
        """Nothing stays of it unless it was kept."""
        with suppress(OSError):  # a full disk, where it goes
            self._file.close()
        self._path.unlink(missing_ok=True)


def open_instance(path: Path) -> EncodedInstance | LargeInstance:
    """The instance in a file; of a large one a way to its data set, and no hash.

    Raises:
        BrokenInstanceError: there is none.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size <= WHOLE_BYTES:
        return EncodedInstance.from_part10(path.read_bytes())
    with path.open("rb") as file:
        begun = EncodedInstance.from_part10(file.read(_HEAD))
    start = _HEAD - len(begun.data)
    return LargeInstance(
        begun.sop_class_uid,
        begun.sop_instance_uid,
        begun.transfer_syntax_uid,
        b"",
        size - start,
        _BlockReader(path, start).read,
    )


class _BlockReader:
    """The end of a file; the block that was read last stays: who sends it reads some kilobytes at
    once. For one thread at a time."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._start = start
        self._at = 0
        self._block = b""

    def read(self, first: int, end: int) -> bytes:
        """These bytes of it.

        Raises:
            LocalError, CorruptStoreError: they cannot be had.
        """
        if not self._at <= first <= end <= self._at + len(self._block):
            self._at, self._block = first, self._read(first, max(end - first, _BLOCK))
        data = self._block[first - self._at : end - self._at]
        if len(data) != end - first:
            raise CorruptStoreError("a file of the archive was cut off")
        return data

    def _read(self, first: int, size: int) -> bytes:
        with _told("read"), self._path.open("rb") as file:
            file.seek(self._start + first)
            return file.read(size)


@contextmanager
def _told(what: str = "store") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError("the archive's disk is full: make room") from error
        raise LocalError(f"cannot {what} an instance: {error.strerror}") from error
