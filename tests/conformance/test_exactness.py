"""What comes out is bit for bit what went in: every file that pydicom ships, and real series.

The road: split, code, build, seal, chunks, signed manifest, verified again, read, join.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from pydicom.data.data_manager import DATA_ROOT

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError
from p2pacs.study.builder import StudyBuilder
from p2pacs.study.coding import CodedInstance, code, code_pieces
from p2pacs.study.images import Coding
from p2pacs.study.manifest import sign_root
from p2pacs.study.split import Kind, split
from tests.p2pacs.study.samples import CT, KEY, SIGNER, STUDY, Shelf

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom comments on odd files

SHIPPED = sorted(
    path
    for path in (Path(DATA_ROOT) / "test_files").rglob("*")
    if path.is_file() and path.suffix not in {".py", ".txt", ".json", ".dump", ".icc", ".gz"}
)
IMPLICIT = "1.2.840.10008.1.2"

both = pytest.mark.parametrize("coding", list(Coding))
"""Whatever a site wants of the coding, nothing is lost."""


def encoded(path: Path) -> EncodedInstance:
    """The instance in a file; one without file meta information is taken whole, as DIMSE would
    hand it over."""
    raw = path.read_bytes()
    try:
        instance = EncodedInstance.from_part10(raw)
        return evolve(instance, sop_instance_uid=instance.sop_instance_uid or "1.2.3.4")
    except BrokenInstanceError:
        data = raw[132:] if raw[128:132] == b"DICM" else raw
        return EncodedInstance(CT, "1.2.3.4", IMPLICIT, data)


def coded(instance: EncodedInstance, coding: Coding) -> CodedInstance:
    """Coded; what has no identity (directories, snippets) gets one, its bytes untouched."""
    try:
        return code(instance, coding)
    except BrokenInstanceError:
        parts = split(instance.data, instance.transfer_syntax_uid)
        blobs = tuple(code_pieces(instance, parts, coding))
        return CodedInstance(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            study_instance_uid="1.2",
            series_instance_uid="1.2.3",
            sha256=hashlib.sha256(instance.data).digest(),
            size=len(instance.data),
            blobs=tuple(blob for blob in blobs if blob.kind is not Kind.PREVIEW),
            attributes=b"{}",
            previews=tuple(blob for blob in blobs if blob.kind is Kind.PREVIEW),
        )


def travel(codeds: list[CodedInstance], chunk_bytes: int) -> list[EncodedInstance]:
    """The whole road, with a new version every few instances."""
    shelf = Shelf()
    builder = StudyBuilder(STUDY, KEY, codeds[0].study_instance_uid, None, chunk_bytes=chunk_bytes)
    for number, each in enumerate(codeds, 1):
        builder.append(each)
        if number % 10 == 0 or number == len(codeds):
            batch = builder.cut()
            root = builder.root(complete=number == len(codeds))
            shelf.take(batch, sign_root(root, SIGNER))
    return list(shelf.all())


@both
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_file_of_pydicom(path: Path, coding: Coding) -> None:
    instance = encoded(path)
    if not instance.data:
        pytest.skip("no data set")
    assert travel([coded(instance, coding)], 1024) == [instance]


@both
@pytest.mark.parametrize("length", [100, 1001, 5000, 20_000, 39_000])
def test_truncated_anywhere(length: int, coding: Coding) -> None:
    whole = encoded(Path(DATA_ROOT) / "test_files" / "CT_small.dcm")
    cut = EncodedInstance(
        whole.sop_class_uid,
        whole.sop_instance_uid,
        whole.transfer_syntax_uid,
        whole.data[:length],
    )
    assert travel([coded(cut, coding)], 1024) == [cut]


def test_the_files_are_as_odd_as_they_should_be() -> None:
    """Else this suite would pass for want of hard cases."""
    instances = [encoded(path) for path in SHIPPED]
    syntaxes = {each.transfer_syntax_uid for each in instances}
    assert {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.5",
    } <= syntaxes
    kinds = [
        tuple(piece.kind for piece in split(each.data, each.transfer_syntax_uid).pieces)
        for each in instances
    ]
    assert (Kind.HEADER,) in kinds
    assert (Kind.HEADER, Kind.FRAME) in kinds
    assert (Kind.HEADER, Kind.ENCAPSULATED) in kinds
    assert (Kind.HEADER, Kind.OTHER) in kinds
    assert (Kind.HEADER, Kind.FRAME, Kind.OTHER) in kinds
    assert any(kind.count(Kind.FRAME) > 1 for kind in kinds)
    assert any(len(each.data) % 2 for each in instances)


def series() -> Iterator[Path]:
    root = os.environ.get("P2PACS_DICOM_DATA")
    if root is not None and Path(root).is_dir():
        yield from sorted({path.parent for path in Path(root).rglob("*") if path.is_file()})


@both
@pytest.mark.data
def test_real_series(coding: Coding) -> None:
    found = 0
    for folder in series():
        files = [path for path in sorted(folder.iterdir()) if path.is_file()]
        instances = [
            EncodedInstance.from_part10(raw)
            for raw in map(Path.read_bytes, files)
            if raw[128:132] == b"DICM"
        ]
        if instances:
            found += 1
            assert travel([code(each, coding) for each in instances], 32 * 1024) == instances
    assert found, "P2PACS_DICOM_DATA has no DICOM files"
