"""Reading, writing and syncing at an offset, on each operating system.

Windows has neither ``pread`` nor ``pwritev``: there it is a seek first, which is as good, as every
descriptor of the store is used by one thread. And a folder cannot be made durable there (NTFS keeps
names in its journal).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    BINARY: Final = os.O_BINARY

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
    BINARY: Final = 0

    def read_at(handle: int, length: int, offset: int) -> bytes:
        """Up to ``length`` bytes from ``offset`` on; less only at the end of the file."""
        return os.pread(handle, length, offset)

    def write_at(handle: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        """Write the buffers from ``offset`` on; how many bytes were written."""
        return os.pwritev(handle, buffers, offset)

    def sync_folder(folder: Path) -> None:
        """Make the names of new files durable."""
        _sync(folder, os.O_RDONLY)


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    _sync(path, os.O_RDWR | BINARY)  # Windows syncs only what may be written


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
