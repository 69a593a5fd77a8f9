"""The viewer's files in a folder: put there whole or not at all, and what is there.

FOLDER/installed.json     which version, and all its files (`Installed`)
FOLDER/files/…            the files; NAME.gz beside those that gzip makes smaller
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import cattrs
from attrs import asdict, field, frozen

from p2pacs.errors import StateError, UsageError, local_error
from p2pacs.files.private_files import make_private_folder, write_private
from p2pacs.limits import MIB
from peer.viewer import package

STAMP: Final = "installed.json"
FILES: Final = "files"
STAMP_BYTES: Final = MIB
"""A stamp has 20 KiB."""

_UNFINISHED: Final = ".unfinished-"
_REPLACED: Final = ".replaced-"
_LEVEL: Final = 6
_WORTH: Final = 0.9
"""A compressed file is kept if it has so much of the bytes at most."""
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@frozen
class ViewerFile:
    """A file of the viewer."""

    digest: str
    """SHA-256, in hexadecimal digits."""
    size: int
    packed: int | None = None
    """Bytes of it with gzip; None: it is there plain alone."""


@frozen
class Installed:
    """What is in a folder."""

    version: str
    integrity: str
    """Of the archive that it is out of."""
    files: Mapping[str, ViewerFile] = field(repr=False)
    scripts: tuple[str, ...] = ()
    """Hashes of the scripts inside its page, as a Content Security Policy names them."""

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(one.size + (one.packed or 0) for one in self.files.values())

    @property
    def is_current(self) -> bool:
        """Whether it is the version that this program was tried with."""
        return self.integrity == package.INTEGRITY


def install(folder: Path, contents: Iterable[tuple[str, bytes]]) -> Installed:
    """Put the viewer's files into a folder, in place of those that are there.

    Args:
        folder: made if it is missing; what runs on its files meanwhile finds the old ones or the
            new ones.
        contents: where each file goes, and its bytes.

    Raises:
        LocalError: they cannot be written; what was there before stays.
        UsageError: there is no page among them.
    """
    make_private_folder(folder.parent)
    _sweep(folder)
    try:
        with ExitStack() as stack:
            new = Path(tempfile.mkdtemp(prefix=f".{folder.name}{_UNFINISHED}", dir=folder.parent))
            stack.callback(shutil.rmtree, new, ignore_errors=True)
            installed = _write(new, contents)
            if folder.exists():
                old = folder.with_name(f".{folder.name}{_REPLACED}{os.getpid()}")
                folder.replace(old)
                stack.callback(shutil.rmtree, old, ignore_errors=True)
            new.replace(folder)
    except OSError as error:
        raise local_error(error, f"cannot install the viewer in {folder}") from error
    return installed


def _write(folder: Path, contents: Iterable[tuple[str, bytes]]) -> Installed:
    files: dict[str, ViewerFile] = {}
    scripts: tuple[str, ...] = ()
    for path, given in contents:
        data = given
        if path == package.INDEX:
            data = given.replace(package.SERVICE_WORKER_TAG, b"")
            scripts = tuple(map(_policy_hash, _INLINE.findall(data)))
        target = folder / FILES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        packed = gzip.compress(data, _LEVEL, mtime=0) if package.is_compressible(path) else data
        small = len(packed) <= _WORTH * len(data)
        if small:
            target.with_name(target.name + ".gz").write_bytes(packed)
        digest = hashlib.sha256(data).hexdigest()
        files[path] = ViewerFile(digest, len(data), len(packed) if small else None)
    if package.INDEX not in files:
        raise UsageError("the archive has no page of the viewer")
    installed = Installed(package.VERSION, package.INTEGRITY, files, scripts)
    write_private(folder / STAMP, json.dumps(asdict(installed)).encode())
    return installed


def _policy_hash(script: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}"


def _sweep(folder: Path) -> None:
    """Remove what an interrupted installation left."""
    for kind in (_UNFINISHED, _REPLACED):
        for left in folder.parent.glob(f".{folder.name}{kind}*"):
            shutil.rmtree(left, ignore_errors=True)


def read_installed(folder: Path) -> Installed | None:
    """What is in a folder; None if nothing is.

    Raises:
        StateError: what is there is not the viewer, or damaged.
    """
    try:
        with (folder / STAMP).open("rb") as file:
            raw = file.read(STAMP_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise local_error(error, f"cannot read {folder / STAMP}") from error
    try:
        return cattrs.structure(json.loads(raw), Installed)
    except (ValueError, TypeError, KeyError, cattrs.BaseValidationError) as error:
        raise StateError(
            f"{folder / STAMP} is damaged: install the viewer again (p2pacs viewer install)"
        ) from error


def remove(folder: Path) -> bool:
    """Remove the viewer's files; whether there were any.

    Raises:
        StateError: the folder holds something else.
        LocalError: they cannot be removed.
    """
    _sweep(folder)
    if not folder.exists():
        return False
    if not (folder / STAMP).exists():
        raise StateError(f"{folder} is not the viewer's: nothing was removed")
    try:
        (folder / STAMP).unlink()  # first: what is half removed is not installed
        shutil.rmtree(folder / FILES)
        with suppress(OSError):  # something else is in it
            folder.rmdir()
    except OSError as error:
        raise local_error(error, f"cannot remove {folder}") from error
    return True
