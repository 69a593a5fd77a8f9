"""Which files are sent: those of folders, and those that a DICOMDIR names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field, frozen
from pydicom import dcmread

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.dicomdir import MEDIA_STORAGE_DIRECTORY
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.errors import BrokenInstanceError, LocalError, UsageError, local_error
from p2pacs.limits import MIB
from p2pacs.output.json_object import JsonObject

_PREFIX_AT: Final = 128
_PREFIX: Final = b"DICM"
_HEAD: Final = 64 * 1024
"""In which preamble and file meta information are (PS3.10 7.1)."""


@define
class FoundFiles:
    """What is to be sent."""

    files: list[Path] = field(factory=list)
    size: int = 0
    """Bytes of all."""
    others: int = 0
    """Files in folders that are none of DICOM's, or the directory of a medium."""
    lost: dict[Path, LocalError] = field(factory=dict)
    """What cannot be read, or is named in a DICOMDIR and not there."""


@frozen
class FileDigest:
    """By what an instance is known, and the data set that is not in a file as it should be."""

    sop_instance_uid: str = field(repr=False)
    transfer_syntax_uid: str
    sha256: str
    """Of its data set."""
    size: int
    """Bytes of the file."""
    whole: bytes | None = field(default=None, repr=False)
    """A DICOM file made of what lacked its header."""

    def json(self) -> JsonObject:
        """As ``POST /outgoing/known`` takes it."""
        return {
            "sop_instance_uid": self.sop_instance_uid,
            "transfer_syntax_uid": self.transfer_syntax_uid,
            "sha256": self.sha256,
        }


def find_files(named: Sequence[Path], *, force: bool) -> FoundFiles:
    """The files that are named, those in folders that are, and those of a DICOMDIR that is.

    Args:
        named: files and folders.
        force: whether to try files without the prefix of DICOM, too.

    Raises:
        UsageError: one of them does not exist, or is no DICOM file.
    """
    found = FoundFiles()
    seen = set[Path]()
    for one in named:
        if one.is_dir():
            for path in _walk(one, found):
                _add(path, found, seen, force=force)
        elif not one.exists():
            raise UsageError(f"there is no {one}: name DICOM files, or folders with them")
        elif _is_directory(one):
            for path in _listed(one):
                if path.is_file():
                    _add(path, found, seen, force=True)
                else:
                    found.lost[path] = LocalError("the DICOMDIR names it, and it is not there")
        else:
            before = found.others
            _add(one, found, seen, force=force)
            if found.others > before:
                raise UsageError(
                    f"{one} is no DICOM file (PS3.10); if it is a data set without its header, "
                    "give --force"
                )
    return found


def _add(path: Path, found: FoundFiles, seen: set[Path], *, force: bool) -> None:
    if path in seen:
        return
    seen.add(path)
    try:
        with path.open("rb") as file:
            is_dicom = force or file.read(_PREFIX_AT + len(_PREFIX))[_PREFIX_AT:] == _PREFIX
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        found.lost[path] = local_error(error, "it cannot be read")
        return
    if not is_dicom or _is_directory(path):
        found.others += 1
        return
    found.files.append(path)
    found.size += size


def _walk(folder: Path, found: FoundFiles) -> Iterator[Path]:
    def lost(error: OSError) -> None:
        found.lost[Path(error.filename)] = local_error(error, "it cannot be read")

    for where, folders, names in os.walk(folder, onerror=lost):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            if path.is_file():
                yield path


def _is_directory(path: Path) -> bool:
    """Whether a file is the directory of a medium."""
    if path.name.upper() != "DICOMDIR":
        return False
    head = _read_head(path)
    return head is not None and head.sop_class_uid == MEDIA_STORAGE_DIRECTORY


def _listed(directory: Path) -> Iterator[Path]:
    """The files that a DICOMDIR names (PS3.3 F.3.2.2)."""
    try:
        records = dcmread(directory).get("DirectoryRecordSequence", [])
        named = [record.ReferencedFileID for record in records if "ReferencedFileID" in record]
    except UNREADABLE as error:
        raise UsageError(f"{directory} cannot be read as a DICOMDIR: name its folder") from error
    for one in named:
        parts = [one] if isinstance(one, str) else [str(part) for part in one]
        if all(part and not set(part) & set("/\\\0") and part != ".." for part in parts):
            yield _as_mounted(directory.parent, parts)


def _as_mounted(folder: Path, parts: Sequence[str]) -> Path:
    """A file of a medium: some systems show its names in lower case."""
    path = folder.joinpath(*parts)
    lower = folder.joinpath(*map(str.lower, parts))
    return lower if not path.exists() and lower.exists() else path


def _read_head(path: Path) -> EncodedInstance | None:
    """The beginning of a DICOM file; None of another."""
    try:
        with path.open("rb") as file:
            return EncodedInstance.from_part10(file.read(_HEAD))
    except (OSError, BrokenInstanceError):
        return None


def digest_file(path: Path) -> FileDigest:
    """By what the instance in a file is known.

    Raises:
        BrokenInstanceError: there is none in it.
        LocalError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head[_PREFIX_AT:][: len(_PREFIX)] != _PREFIX:
                return _bare(head + file.read())
            begun = EncodedInstance.from_part10(head)
            digest = hashlib.sha256(begun.data)
            while piece := file.read(MIB):
                digest.update(piece)
            size = file.tell()
    except OSError as error:
        raise local_error(error, "it cannot be read") from error
    return FileDigest(begun.sop_instance_uid, begun.transfer_syntax_uid, digest.hexdigest(), size)


def _bare(data: bytes) -> FileDigest:
    instance = read_instance(data)
    digest = hashlib.sha256(instance.data).hexdigest()
    return FileDigest(
        instance.sop_instance_uid,
        instance.transfer_syntax_uid,
        digest,
        len(data),
        instance.part10(),
    )
