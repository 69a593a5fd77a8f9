"""Writing what a command was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from p2pacs.errors import local_error
from p2pacs.files.private_files import FILE_MODE


def replace(path: Path, data: bytes) -> None:
    """Write it as `replacing` does.

    Raises:
        DiskFullError: no room.
        LocalError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write beside and rename at the end of the block, so that whoever reads finds the file of
    before or the new one.

    No flush: what was lost with the power is found and written again by the next run. The name
    beside is always the same, so that what a killed run left there is no litter. It is a patient's,
    so it is readable by its owner only (mode 0600).

    Raises:
        DiskFullError: no room.
        LocalError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open(temporary, "wb", opener=_private) as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        failed = local_error(error, f"cannot write to {path.parent}")
        raise type(failed)(f"{failed}, then run the command again") from error
    finally:
        temporary.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)
