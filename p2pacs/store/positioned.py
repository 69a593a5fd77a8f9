"""Reading, writing and syncing at an offset, on each operating system.

Windows has neither ``pread`` nor ``pwritev``: there it is a seek first, which is as good, as every
descriptor of the store is used by one thread. And a folder cannot be made durable there (NTFS keeps
names in its journal).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    PLAIN: Final = os.O_BINARY
    """Flags of every opening: nothing translates line ends."""

    def read_at(handle: int, length: int, offset: int) -> bytes:
        """Up to ``length`` bytes from ``offset`` on; less only at the end of the file."""
        os.lseek(handle, offset, os.SEEK_SET)
        return os.read(handle, length)

    def write_at(handle: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        """Write the buffers from ``offset`` on; how many bytes were written."""
        os.lseek(handle, offset, os.SEEK_SET)
        return os.write(handle, b"".join(buffers))

    def sync_folder(folder: Path) -> None:
        """Make the names of new files durable."""

else:
    PLAIN: Final = os.O_NOFOLLOW | os.O_NONBLOCK
    """Flags of every opening: no link is followed, and no opening of a pipe waits for its other
    end, whatever somebody has put in the place of a file."""

    def read_at(handle: int, length: int, offset: int) -> bytes:
        """Up to ``length`` bytes from ``offset`` on; less only at the end of the file."""
        return os.pread(handle, length, offset)

    def write_at(handle: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        """Write the buffers from ``offset`` on; how many bytes were written."""
        return os.pwritev(handle, buffers, offset)

    def sync_folder(folder: Path) -> None:
        """Make the names of new files durable."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


if sys.platform == "linux":

    def read_held(handle: int, buffer: memoryview, offset: int) -> bool:
        """Fill a buffer from ``offset`` on, if the system has that in memory: nothing is waited
        for (preadv2(2), RWF_NOWAIT). False: read it in a thread."""
        try:
            return os.preadv(handle, [buffer], offset, os.RWF_NOWAIT) == len(buffer)
        except OSError:  # EAGAIN; or the file system cannot say
            return False

else:

    def read_held(handle: int, buffer: memoryview, offset: int) -> bool:
        """False: nobody knows what is in memory. Read it in a thread."""
        return False


def sync_file(path: Path) -> int:
    """Make what was written to a file durable; its bytes.

    Raises:
        OSError: the disk fails; ENXIO if it is no file.
    """
    handle = os.open(path, os.O_RDWR | PLAIN)  # Windows syncs only what may be written
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ENXIO, "no file")
        os.fsync(handle)
        return found.st_size
    finally:
        os.close(handle)
