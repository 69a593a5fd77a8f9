"""A file without a name: nobody else can open it, and it is gone with who uses it, however that
ends."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from p2pacs.errors import CorruptStoreError, local_error


class UnnamedFile:
    """Written from its beginning on, and read anywhere. It goes when it is closed, or when nothing
    refers to it any more."""

    def __init__(self, folder: Path) -> None:
        """Make it.

        Args:
            folder: on whose disk it lies.

        Raises:
            DiskFullError, LocalError: it cannot be made.
        """
        self._reading = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - `close`
        except OSError as error:
            raise local_error(error, f"cannot make a file in {folder}") from error

    def write(self, data: bytes) -> None:
        """Write all of it behind what is there.

        Raises:
            DiskFullError, LocalError: it cannot be written.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise local_error(error, "cannot write a large instance") from error

    def read(self, first: int, end: int) -> bytes:
        """These bytes of it (the first, and the one after the last), after all was written.

        Raises:
            CorruptStoreError: they are not there.
            LocalError: they cannot be read.
        """
        try:
            with self._reading:
                self._file.seek(first)
                data = self._file.read(end - first)
        except OSError as error:
            raise local_error(error, "cannot read a large instance") from error
        if len(data) != end - first:
            raise CorruptStoreError("a large instance was cut off")
        return data

    def close(self) -> None:
        """It goes."""
        self._file.close()
