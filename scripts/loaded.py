"""The study that a script loads into a PACS, and how it must come out again."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pydicom
from attrs import frozen
from pydicom.errors import InvalidDicomError

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError
from scripts.program import ScriptError

Digests = dict[str, tuple[str, str]]
"""SOP Instance UID → (transfer syntax UID, SHA-256 of the data set): what exact means."""


def digest(instance: EncodedInstance) -> tuple[str, str]:
    """What must be the same at the end of the road."""
    return instance.transfer_syntax_uid, hashlib.sha256(instance.data).hexdigest()


def read_digests(folder: Path) -> Digests:
    """Of all DICOM files in and below a folder, which must hold nothing else."""
    files = (path for path in folder.rglob("*") if path.is_file())
    read = (EncodedInstance.from_part10(path.read_bytes()) for path in files)
    return {one.sop_instance_uid: digest(one) for one in read}


@frozen
class LoadedStudy:
    """DICOM files of one study."""

    uid: str
    paths: tuple[Path, ...]
    digests: Digests
    size: int
    """Bytes of all data sets."""

    def instances(self) -> Iterator[EncodedInstance]:
        """The instances, one at a time."""
        for path in self.paths:
            yield EncodedInstance.from_part10(path.read_bytes())


def load_folder(folder: Path) -> LoadedStudy:
    """The largest study among the DICOM files in and below a folder; other files are ignored.

    Raises:
        ScriptError: no DICOM files there, or one SOP Instance UID with different data sets.
    """
    if not folder.is_dir():
        raise ScriptError(f"{folder} is no folder")
    studies: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if uid := _study_uid(path):
            studies[uid].append(path)
    if not studies:
        raise ScriptError(f"{folder} holds no DICOM files")
    largest = max(studies, key=lambda uid: sum(path.stat().st_size for path in studies[uid]))
    return _loaded(largest, studies[largest])


def _study_uid(path: Path) -> str | None:
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
    except (InvalidDicomError, EOFError):
        return None
    uid: str | None = dataset.get("StudyInstanceUID")
    return uid


def _loaded(uid: str, paths: Iterable[Path]) -> LoadedStudy:
    kept: list[Path] = []
    digests: Digests = {}
    size = 0
    for path in paths:
        try:
            instance = EncodedInstance.from_part10(path.read_bytes())
        except BrokenInstanceError:
            continue  # for instance a DICOMDIR of its own kind
        made, known = digest(instance), digests.get(instance.sop_instance_uid)
        if known not in (None, made):
            raise ScriptError(f"{path}: another file has the same SOP Instance UID, but differs")
        if known is None:
            digests[instance.sop_instance_uid] = made
            kept.append(path)
            size += len(instance.data)
    return LoadedStudy(uid, tuple(kept), digests, size)
