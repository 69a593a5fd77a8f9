"""Instances to test with: made here, and the ones that pydicom ships."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

from pydicom import data as pydicom_data
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from p2pacs.archive.folder import attributes_of
from p2pacs.dataset.bare import with_own_uids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"

NO_DATA_SET = bytes.fromhex("0800 0511 ffffffff feff00e0 10000000 6162")
"""Implicit VR bytes that begin like a sequence and are not one."""


def instance(
    number: int = 1,
    *,
    study: int = 1,
    series: int = 1,
    sop_class: str = CT,
    size: int = 1000,
    syntax: str = EXPLICIT,
) -> EncodedInstance:
    """A small instance; with a compressed ``syntax`` its pixel data are only named so."""
    dataset = Dataset()
    dataset.SOPClassUID = UID(sop_class)
    dataset.SOPInstanceUID = UID(f"1.2.3.{study}.{series}.{number}")
    dataset.StudyDate = "20240229"
    dataset.Modality = "CT" if sop_class == CT else "MR"
    dataset.PatientName = f"Doe^Jane {study}"
    dataset.PatientID = f"P{study}"
    dataset.StudyInstanceUID = f"1.2.3.{study}"
    dataset.SeriesInstanceUID = f"1.2.3.{study}.{series}"
    dataset.InstanceNumber = number
    dataset.ImageComments = f"number {number}"
    dataset.add_new(0x00431029, "OB", bytes(number % 251 for _ in range(size)))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    made = EncodedInstance.from_part10(file.getvalue())
    return EncodedInstance(made.sop_class_uid, made.sop_instance_uid, syntax, made.data)


def series(count: int, *, study: int = 1, size: int = 1000) -> list[EncodedInstance]:
    """Instances 1 to ``count`` of a series."""
    return [instance(number, study=study, size=size) for number in range(1, count + 1)]


def identifier(level: str = "STUDY", **keys: str) -> Dataset:
    """The identifier of a query or retrieval."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def study(number: int = 1) -> Dataset:
    """The identifier that retrieves a study made by `instance`."""
    return identifier(StudyInstanceUID=f"1.2.3.{number}")


@cache
def pydicom_files() -> dict[str, bytes]:
    """pydicom's test files that are whole instances of a study: name → Part 10 file."""
    return dict(_storable())


def _storable() -> Iterator[tuple[str, bytes]]:
    seen = set()
    # Not get_testdata_files(): that one goes to the network for what the package lacks.
    folder = Path(pydicom_data.__file__).parent / "test_files"
    for path in sorted(folder.rglob("*.dcm")):
        file = path.read_bytes()
        try:
            made = with_own_uids(EncodedInstance.from_part10(file))
            attributes_of(made)
        except BrokenInstanceError:
            continue
        if made.sop_instance_uid not in seen and made.data:
            seen.add(made.sop_instance_uid)
            yield path.name, file
