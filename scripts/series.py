"""The series in a folder: which DICOM files belong together, and what a table calls them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pydicom
from attrs import frozen
from pydicom.errors import InvalidDicomError

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError
from scripts.program import ScriptError

_KEYS = ["SeriesInstanceUID", "Modality"]


@frozen
class Series:
    """DICOM files of one series."""

    name: str
    """Its folder below the one that was searched; with modality and number where one folder
    has several. Never what the files say of the patient."""
    modality: str
    paths: tuple[Path, ...]

    def instances(self) -> list[EncodedInstance]:
        """All of them, in memory; a copy of an instance counts once.

        Raises:
            ScriptError: one SOP Instance UID with different data sets.
        """
        found: dict[str, EncodedInstance] = {}
        for path in self.paths:
            try:
                instance = EncodedInstance.from_part10(path.read_bytes())
            except BrokenInstanceError:
                continue
            if found.setdefault(instance.sop_instance_uid, instance) != instance:
                raise ScriptError(
                    f"{path}: another file has the same SOP Instance UID, but differs"
                )
        return list(found.values())


def find_series(folder: Path) -> list[Series]:
    """The series in and below a folder, by name; files that are not DICOM are ignored.

    Raises:
        ScriptError: no folder, or no DICOM files there.
    """
    if not folder.is_dir():
        raise ScriptError(f"{folder} is no folder")
    found: defaultdict[tuple[Path, str, str], list[Path]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if (said := _said(path)) is not None:
            found[path.parent, *said].append(path)
    if not found:
        raise ScriptError(f"{folder} holds no DICOM files")
    return sorted(_named(folder, found), key=lambda one: one.name)


def _said(path: Path) -> tuple[str, str] | None:
    """Modality and Series Instance UID of a file; None if it is of no series."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_KEYS)
    except (InvalidDicomError, EOFError):
        return None
    uid = dataset.get("SeriesInstanceUID")
    return (str(dataset.get("Modality") or "OT"), str(uid)) if uid else None


def _named(folder: Path, found: dict[tuple[Path, str, str], list[Path]]) -> Iterator[Series]:
    together = Counter(parent for parent, _, _ in found)
    for number, ((parent, modality, _), paths) in enumerate(found.items(), 1):
        place = parent.relative_to(folder).as_posix()
        name = folder.resolve().name if place == "." else place
        if together[parent] > 1:
            name += f" {modality} {number}"
        yield Series(name, modality, tuple(paths))
