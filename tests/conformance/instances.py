"""Small instances for tests of PACS: made up, and real ones of pydicom's in odd encodings."""

import zlib
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pydicom
from attrs import evolve
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
)

from p2pacs.dataset.instance import EncodedInstance

CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage}


def make(
    study: str,
    series: int = 1,
    number: int = 1,
    *,
    name: str = "Müller^Jörg",
    modality: str = "CT",
    date: str = "20240131",
    size: int = 64,
    patient: str | None = None,
    **more: Any,
) -> EncodedInstance:
    """An image of ``size`` x ``size`` pixels; its UIDs follow from study, series and number.

    Args:
        more: further attributes, or others, by keyword.
    """
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = CLASSES[modality]
    dataset.SOPInstanceUID = f"{study}.{series}.{number}"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study}.{series}"
    dataset.PatientName, dataset.PatientID = name, patient or f"P{study}"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.StudyDate, dataset.StudyTime = date, "101500"
    dataset.StudyID, dataset.AccessionNumber = "1", f"A{study[-4:]}"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Schädel"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, series, number
    dataset.Rows = dataset.Columns = size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    seed = series * 31 + number
    row = b"".join(((x * seed) % 4096).to_bytes(2, "little") for x in range(size))
    dataset.PixelData = row * size
    dataset["PixelData"].VR = "OW"
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return encode(dataset)


def noisy(number: int, study: str) -> EncodedInstance:
    """An image that cannot be made smaller."""
    pixels = Random(number).randbytes(2 * 128 * 128)  # noqa: S311 - noise
    return make(study, 1, number, size=128, PixelData=pixels)


def encode(dataset: Dataset) -> EncodedInstance:
    """A data set in Explicit VR Little Endian."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, dataset)
    return EncodedInstance(
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        str(ExplicitVRLittleEndian),
        bytes(out.getvalue()),
    )


def recode(instance: EncodedInstance, syntax: UID) -> EncodedInstance:
    """The same image in another transfer syntax: implicit, deflated or run-length coded."""
    dataset = dcmread(BytesIO(instance.part10()))
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, syntax == ImplicitVRLittleEndian
    write_dataset(out, Dataset(dataset))
    data = bytes(out.getvalue())
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    return evolve(instance, transfer_syntax_uid=str(syntax), data=data)


REAL = (
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "GDCMJ2K_TextGBR.dcm",
    "JPEG-lossy.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "image_dfl.dcm",
    "reportsi.dcm",
    "MR_small_implicit.dcm",
)
"""Files of pydicom's, each in another transfer syntax or of another kind."""


def real() -> list[EncodedInstance]:
    """The instances of `REAL`, as their files hold them."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return [EncodedInstance.from_part10((folder / name).read_bytes()) for name in REAL]


def content(instance: EncodedInstance) -> tuple[str, Dataset]:
    """What an instance says, however its sequences and padding are written."""
    dataset = Dataset(dcmread(BytesIO(instance.part10())))
    dataset.pop("DataSetTrailingPadding", None)
    return instance.transfer_syntax_uid, dataset


def study_of(instance: EncodedInstance) -> str:
    """The Study Instance UID in an instance."""
    return str(dcmread(BytesIO(instance.part10()), stop_before_pixels=True).StudyInstanceUID)
