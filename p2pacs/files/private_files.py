"""Folders and files that belong to one account: made so, replaced whole, mended when too open.

Keys, patient data and what stands for them lie in the folders of our programs. Three rules keep
other accounts of the machine out: a program makes nothing that they could open (`private_umask`),
each place that makes something says its mode besides, and what is found too open at a start is
closed (`mend_modes`): an older version, a copy or a backup may have left it so.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from p2pacs.errors import local_error

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""What group and others may do: nothing."""


@contextmanager
def private_umask() -> Iterator[None]:
    """Whatever this process and its children make inside the block is their account's alone.

    Windows has no such bits (`os.umask` knows read-only there): a folder in the account's own
    profile is closed to other accounts by the access list that it inherits.
    """
    before = os.umask(OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def make_private_folder(folder: Path) -> list[Path]:
    """Make the folder, with its parents; only its owner may enter what is made.

    Returns:
        What was made, the outermost first; nothing if the folder was there.

    Raises:
        LocalError: it cannot be made, or something else has its name; nothing is left of it.
    """
    made: list[Path] = []
    try:
        for one in reversed((folder, *folder.parents)):
            if not one.is_dir():
                one.mkdir(FOLDER_MODE)
                made.append(one)
    except OSError as error:
        _remove_empty(made)
        raise local_error(error, f"cannot make the folder {folder}") from error
    return made


@contextmanager
def new_folder(folder: Path, *, keep: bool = False) -> Iterator[None]:
    """A private folder for the block to fill; if the block fails, no trace of it is left.

    Folders that were there before stay, and so does all that was in them.

    Args:
        folder: made with its parents, if it is not there.
        keep: what the block has put into it stays; an empty folder goes.

    Raises:
        LocalError: it cannot be made, or something else has its name.
    """
    made = make_private_folder(folder)
    try:
        fresh = not keep and not any(folder.iterdir())
    except OSError as error:
        raise local_error(error, f"cannot read the folder {folder}") from error
    with ExitStack() as failed:
        failed.callback(_remove_empty, made)
        if fresh:
            failed.callback(_remove_content, folder)
        yield
        failed.pop_all()  # it stays


def _remove_content(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def check_folder(folder: Path) -> None:
    """Whether a folder can be made and written in, asked before anything depends on it.

    Raises:
        LocalError: it cannot; no trace of the attempt is left in any case.
    """
    made = make_private_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise local_error(error, f"cannot write in the folder {folder}") from error
    finally:
        _remove_empty(made)


def strangers(folder: Path, own: tuple[str, ...]) -> list[str]:
    """What is in a folder and has none of a program's own names; nothing if there is no folder.

    Raises:
        LocalError: the folder cannot be read, or is none.
    """
    try:
        return sorted(
            path.name
            for path in folder.iterdir()
            if not path.name.lstrip(".").startswith(own) and path.name != "lost+found"
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise local_error(error, f"cannot read the folder {folder}") from error


def _remove_empty(made: list[Path]) -> None:
    with suppress(OSError):  # not empty: somebody's files are in it
        for one in reversed(made):
            one.rmdir()


def write_private(path: Path, data: bytes) -> None:
    """Replace the file by ``data``, readable by its owner only (mode 0600).

    Written beside it, flushed, renamed over it, and the folder flushed: after a
    power cut the file holds either the old bytes or the new ones.

    Raises:
        LocalError: it cannot be written; the file of before stays.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:  # mkstemp makes it 0600
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)  # it has its own name by now, or is not to stay
        _flush_folder(path.parent)
    except OSError as error:
        raise local_error(error, f"cannot write {path}") from error


def _flush_folder(folder: Path) -> None:
    """Make a rename durable. Windows opens no folders; NTFS keeps a journal of names by itself."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---------------------------------------------------------------- what is there already


@frozen
class Mended:
    """What was open to other accounts."""

    closed: int
    """So much is their owner's alone now."""
    left: tuple[Path, ...]
    """This belongs to another account, or its disk knows no modes: it is as open as before."""


def mend_modes(folder: Path, own: tuple[str, ...]) -> Mended:
    """Close to other accounts a program's folder, and what it has in there.

    Links out of the folder itself are followed (a store may be on another disk), no others.

    Args:
        folder: of the program.
        own: what its names in there begin with; what else is there is none of its business.

    Raises:
        LocalError: the folder cannot be read.
    """
    closed, left = 0, list[Path]()
    try:
        for path, mode in _too_open(folder, own):
            try:
                path.chmod(mode & ~OTHERS)
                closed += 1
            except OSError:
                left.append(path)
    except OSError as error:
        raise local_error(error, f"cannot read the folder {folder}") from error
    return Mended(closed, tuple(left))


def _too_open(top: Path, own: tuple[str, ...]) -> Iterator[tuple[Path, int]]:
    """What group or others may open, with its mode: the folder, and the program's all in it."""
    if sys.platform == "win32":  # its modes say nothing of other accounts
        return
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        follow = folder == top
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & OTHERS:
            yield folder, mode
        with os.scandir(folder) as entries:
            for entry in entries:
                if follow and not entry.name.lstrip(".").startswith(own):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=follow):
                        waiting.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=follow):
                        mode = stat.S_IMODE(entry.stat().st_mode)
                        if mode & OTHERS:
                            yield Path(entry.path), mode
                except FileNotFoundError:
                    continue  # a command of another process wrote it and is done
