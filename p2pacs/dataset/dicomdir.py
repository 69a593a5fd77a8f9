"""DICOMDIR: the directory of DICOM files on a medium or in an archive (PS3.3 F, PS3.10 8).

Records point to each other by their offsets in the file. pydicom's `FileSet` makes one of files on
disk; here the files are on their way, so the records are written out of what the index tells of
each instance. pydicom and DCMTK read what this writes (tests).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import define, field, frozen
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from p2pacs.dataset.from_json import to_dataset
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import tag

MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"

_IN_USE: Final = 0xFFFF
_ITEM: Final = struct.Struct("<HHI")
_NEXT: Final = slice(16, 20)
"""Of a record with its item tag: the value of (0004,1400), where the next of its level is ..."""
_LOWER: Final = slice(38, 42)
"""... and of (0004,1420), the first one below: both stand first in it, as tags ascend."""

_PATIENT: Final = ("PatientID", "PatientName")
_STUDY: Final = (
    *("StudyDate", "StudyTime", "StudyDescription", "StudyInstanceUID", "StudyID"),
    "AccessionNumber",
)
_SERIES: Final = ("Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription")
_IMAGE: Final = ("InstanceNumber", "Rows", "Columns", "ImageType")
_OTHER: Final = ("InstanceNumber", "ContentDate", "ContentTime")

_TYPES: Final = (
    ("1.2.840.10008.5.1.4.1.1.88.59", "KEY OBJECT DOC"),
    ("1.2.840.10008.5.1.4.1.1.88.", "SR DOCUMENT"),
    ("1.2.840.10008.5.1.4.1.1.104.", "ENCAP DOC"),
    ("1.2.840.10008.5.1.4.1.1.11.", "PRESENTATION"),
    ("1.2.840.10008.5.1.4.1.1.9.", "WAVEFORM"),
    ("1.2.840.10008.5.1.4.1.1.481.2", "RT DOSE"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "RT STRUCTURE SET"),
    ("1.2.840.10008.5.1.4.1.1.481.5", "RT PLAN"),
    ("1.2.840.10008.5.1.4.1.1.66.1", "REGISTRATION"),
    ("1.2.840.10008.5.1.4.1.1.66.2", "FIDUCIAL"),
    ("1.2.840.10008.5.1.4.1.1.66", "RAW DATA"),
    ("1.2.840.10008.5.1.4.1.1.4.2", "SPECTROSCOPY"),
)
"""Beginning of a SOP Class UID → Directory Record Type (PS3.3 F.5); all others are images."""

_MULTI_FRAME_IMAGES: Final = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.5")
"""Segmentations: images whose UIDs begin as those of raw data do."""


@frozen
class DirectoryEntry:
    """One file."""

    file_id: tuple[str, ...]
    """Components of its name from the root (PS3.10 8.2): 1 to 8 characters of A-Z, 0-9 and _."""
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    transfer_syntax_uid: str
    attributes: Json = field(repr=False)
    """Of the instance, its series, study and patient."""


@define(eq=False)
class _DirectoryRecord:
    data: bytearray = field(repr=False)
    below: dict[object, _DirectoryRecord] = field(factory=dict, repr=False)


def record_type(sop_class_uid: str) -> str:
    """The Directory Record Type of a SOP class."""
    if not sop_class_uid.startswith(_MULTI_FRAME_IMAGES):
        for beginning, name in _TYPES:
            if sop_class_uid.startswith(beginning):
                return name
    return "IMAGE"


def write_dicomdir(entries: Iterable[DirectoryEntry], file_set_id: str = "P2PACS") -> bytes:
    """The DICOMDIR of these files, as a DICOM file.

    What a record must have and an instance does not tell is its number in the order of the
    entries; dates are not made up.
    """
    roots: dict[object, _DirectoryRecord] = {}
    for number, one in enumerate(entries, 1):
        _enter(roots, one, number)
    records = list(_in_order(roots))
    head = _head(file_set_id, sum(len(record.data) for record in records))
    places, at = dict[_DirectoryRecord, int](), len(head)
    for record in records:
        places[record] = at
        at += len(record.data)
    _link(list(roots.values()), places)
    first, last = (places[list(roots.values())[n]] for n in (0, -1)) if roots else (0, 0)
    head = _head(file_set_id, at - len(head), first, last)
    return head + b"".join(bytes(record.data) for record in records)


def _enter(roots: dict[object, _DirectoryRecord], one: DirectoryEntry, number: int) -> None:
    told = one.attributes
    level = roots
    for kind, keywords, key in (
        ("PATIENT", _PATIENT, (text(told, "PatientID"), text(told, "IssuerOfPatientID"))),
        ("STUDY", _STUDY, text(told, "StudyInstanceUID")),
        ("SERIES", _SERIES, text(told, "SeriesInstanceUID")),
    ):
        if key not in level:
            level[key] = _record(kind, _described(told, keywords, len(level) + 1))
        level = level[key].below
    kind = record_type(one.sop_class_uid)
    described = _described(told, _IMAGE if kind == "IMAGE" else _OTHER, number)
    described.ReferencedFileID = list(one.file_id)
    described.ReferencedSOPClassUIDInFile = one.sop_class_uid
    described.ReferencedSOPInstanceUIDInFile = one.sop_instance_uid
    described.ReferencedTransferSyntaxUIDInFile = one.transfer_syntax_uid
    level[number] = _record(kind, described)


def _described(told: Json, keywords: Sequence[str], number: int) -> Dataset:
    """These attributes of it; a number where one has none."""
    known = {tag(keyword): told.get(tag(keyword)) for keyword in keywords}
    for keyword in ("StudyID", "SeriesNumber", "InstanceNumber"):
        if keyword in keywords and not text(told, keyword):
            known[tag(keyword)] = entry("SH" if keyword == "StudyID" else "IS", str(number))
    held = {key: value for key, value in known.items() if value is not None}
    described = to_dataset(held)
    for keyword in keywords:
        if keyword not in described and keyword not in ("Rows", "Columns", "ImageType"):
            setattr(described, keyword, None)
    return described


def _record(kind: str, described: Dataset) -> _DirectoryRecord:
    described.OffsetOfTheNextDirectoryRecord = 0
    described.RecordInUseFlag = _IN_USE
    described.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    described.DirectoryRecordType = kind
    body = _encoded(described)
    return _DirectoryRecord(bytearray(_ITEM.pack(0xFFFE, 0xE000, len(body)) + body))


def _in_order(level: dict[object, _DirectoryRecord]) -> Iterator[_DirectoryRecord]:
    for record in level.values():
        yield record
        yield from _in_order(record.below)


def _link(level: Sequence[_DirectoryRecord], places: dict[_DirectoryRecord, int]) -> None:
    for number, record in enumerate(level, 1):
        below = list(record.below.values())
        after = places[level[number]] if number < len(level) else 0
        record.data[_NEXT] = struct.pack("<I", after)
        record.data[_LOWER] = struct.pack("<I", places[below[0]] if below else 0)
        _link(below, places)


def _head(file_set_id: str, size: int, first: int = 0, last: int = 0) -> bytes:
    """The file up to its first record; as long whatever the numbers are."""
    root = Dataset()
    root.FileSetID = file_set_id
    root.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = first
    root.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = last
    root.FileSetConsistencyFlag = 0
    sequence = struct.pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, size)
    data = _encoded(root) + sequence
    instance = EncodedInstance(
        MEDIA_STORAGE_DIRECTORY, _DIRECTORY_UID, str(ExplicitVRLittleEndian), data
    )
    return instance.part10()


_DIRECTORY_UID: Final = str(generate_uid(prefix="2.25."))
"""Of the directories that this process writes: nobody looks them up by it."""


def _encoded(dataset: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    return bytes(stream.getvalue())
