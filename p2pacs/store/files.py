"""The files of a store: one a study, written at its end (and where a chunk had rotted).

Names are the `StudyId` in hexadecimal and nothing else. Descriptors are opened for one
operation each: that costs microseconds, and no number of studies runs out of them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import structlog

from p2pacs.errors import CorruptStoreError, LocalError, local_error
from p2pacs.ids import StudyId
from p2pacs.store.positioned import PLAIN, read_at, sync_file, sync_folder, write_at

log = structlog.get_logger(__name__)

_VECTORS: Final = 512
"""Buffers written together; Linux takes 1,024 in one system call."""


_FOREIGN: Final = frozenset(
    {errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EACCES, errno.EPERM}
)
"""What a study's file gives that is gone, or is none (a link, a pipe, a folder), or is not ours:
that is the study's own trouble. All else is the disk's, and so everybody's."""


def failure(error: OSError) -> LocalError:
    """What an error of the operating system while writing means."""
    return local_error(error, "the store cannot write (what was stored is kept)")


class StudyFiles:
    """The files with the chunks, in one folder."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is not there.

        Raises:
            LocalError: it cannot be made.
        """
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise failure(error) from error

    def path(self, study: StudyId) -> Path:
        """The file of a study."""
        return self._folder / f"{study}.chunks"

    def _notes(self, study: StudyId) -> Path:
        return self._folder / f"{study}.notes"

    def write(self, study: StudyId, offset: int, buffers: Sequence[bytes]) -> None:
        """Write the buffers end to end from ``offset`` on. Not durable before `sync`.

        Raises:
            DiskFullError: no room; what lies before ``offset`` is untouched.
            CorruptStoreError: the study's file is not what was written before (`mend` it).
            LocalError: the disk fails otherwise.
        """
        try:
            _write_file(self.path(study), offset, buffers)
        except OSError as error:
            raise self._problem(study, error) from error

    def _problem(self, study: StudyId, error: OSError) -> LocalError:
        """Whether an error is of one study's file alone, or of the disk."""
        if error.errno not in _FOREIGN or not self._folder.is_dir():
            return failure(error)
        return CorruptStoreError(f"the file of study {study.short} was taken away or replaced")

    def mend(self, study: StudyId, length: int) -> int:
        """Put out of the way what is not the study's file; bytes that the file has, at most these.

        Raises:
            LocalError: the disk fails.
        """
        path = self.path(study)
        try:
            if os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK):
                _set_aside(path)
        except OSError as error:
            raise failure(error) from error
        return self.trim(study, length)

    def note(self, study: StudyId, offset: int, notes: bytes) -> None:
        """Write notes (notes.py) of what was written. Never durable.

        Raises:
            DiskFullError: no room.
            LocalError: the disk fails otherwise.
        """
        path = self._notes(study)
        try:
            if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
                _set_aside(path)
            # Notes that were taken away are no loss: what is written without them is zeros.
            _write_file(path, offset, [notes], grows=False)
        except OSError as error:
            raise failure(error) from error

    def noted(self, study: StudyId) -> bytes:
        """The notes of a study; none if they cannot be read."""
        path = self._notes(study)
        try:
            return path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else b""
        except OSError:
            return b""

    def forget_notes(self, studies: Iterable[StudyId]) -> None:
        """All that was noted of these is confirmed."""
        for study in studies:
            _unlink(self._notes(study))

    def sync(self, lengths: Mapping[StudyId, int]) -> list[StudyId]:
        """Make what was written durable, names of new files included.

        Args:
            lengths: of each study, bytes that its file has at least.

        Returns:
            Studies whose file is not what was written: `mend` it.

        Raises:
            DiskFullError: no room.
            LocalError: the disk fails otherwise.
        """
        foreign = []
        for study, length in lengths.items():
            try:
                if sync_file(self.path(study)) < length:
                    foreign.append(study)
            except OSError as error:
                problem = self._problem(study, error)
                if not isinstance(problem, CorruptStoreError):
                    raise problem from error
                foreign.append(study)
        try:
            sync_folder(self._folder)
        except OSError as error:
            raise failure(error) from error
        return foreign

    def read(self, study: StudyId, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """What lies at these places (offset, length).

        Raises:
            CorruptStoreError: the disk cannot read it, or the file is gone.
        """
        try:
            handle = os.open(self.path(study), os.O_RDONLY | PLAIN)
            try:
                found = [read_at(handle, length, offset) for offset, length in places]
            finally:
                os.close(handle)
        except OSError as error:
            raise CorruptStoreError(
                f"study {study.short} is fetched again: its disk says {error.strerror}"
            ) from error
        if any(len(data) != length for data, (_, length) in zip(found, places, strict=True)):
            raise CorruptStoreError(f"study {study.short} is fetched again: its file is too short")
        return found

    def trim(self, study: StudyId, length: int) -> int:
        """Cut off what was written but never confirmed; the bytes that the file has then.

        Raises:
            LocalError: the disk fails.
        """
        path = self.path(study)
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                _set_aside(path)
                return 0
            if found.st_size > length:
                os.truncate(path, length)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise failure(error) from error
        return min(found.st_size, length)

    def remove(self, study: StudyId) -> None:
        """Remove the files of a study if there are any.

        Raises:
            LocalError: the disk fails.
        """
        self.forget_notes([study])
        _unlink(self.path(study))

    def sweep(self, known: Iterable[StudyId]) -> None:
        """Remove files of studies that the index does not know (a crash while dropping).

        Raises:
            LocalError: the disk fails.
        """
        keep = {path for study in known for path in (self.path(study), self._notes(study))}
        for path in (*self._folder.glob("*.chunks"), *self._folder.glob("*.notes")):
            if path not in keep and path.is_file():
                _unlink(path)


def _set_aside(path: Path) -> None:
    """What stands in the place of one of our files and is none is kept, out of the way."""
    names = (path.with_name(f"{path.name}.aside-{number}") for number in count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    path.rename(aside)
    log.error("something that is no file stood in the store", moved_to=aside.name)


def _unlink(path: Path) -> None:
    try:
        if path.is_dir():
            _set_aside(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise failure(error) from error


def _write_file(path: Path, offset: int, buffers: Sequence[bytes], *, grows: bool = True) -> None:
    """Write to a file, which is made if ``offset`` is 0.

    Args:
        path: of the file.
        offset: where.
        buffers: what, end to end.
        grows: whether all before ``offset`` must be there.

    Raises:
        OSError: the disk fails; ENXIO if what is there is no file, or shorter than ``offset``.
    """
    create = os.O_CREAT if offset == 0 or not grows else 0
    handle = os.open(path, os.O_WRONLY | create | PLAIN, 0o600)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or (grows and found.st_size < offset):
            raise OSError(errno.ENXIO, "not the file that was written")
        for at in range(0, len(buffers), _VECTORS):
            part = buffers[at : at + _VECTORS]
            _write_all(handle, offset, part)
            offset += sum(map(len, part))
    finally:
        os.close(handle)


def _write_all(handle: int, offset: int, buffers: Sequence[bytes]) -> None:
    left = [memoryview(buffer) for buffer in buffers]
    while left:
        written = write_at(handle, left, offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]
