"""Writing what a command was asked for."""

from __future__ import annotations

import errno
from pathlib import Path

from p2pacs.errors import DiskFullError, LocalError


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there.

    Raises:
        LocalError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LocalError(f"cannot make the folder {folder}: {error.strerror}") from error


def replace(path: Path, data: bytes) -> None:
    """Write beside and rename, so that whoever reads finds the file of before or the new one.

    No flush: what was lost with the power is found and written again by the next run.

    Raises:
        DiskFullError: no room.
        LocalError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else LocalError
        raise kind(
            f"cannot write to {path.parent}: {error.strerror}; mend that and run the command again"
        ) from error
