"""Instances to convert: pydicom's own, and made ones."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from p2pacs.dataset.instance import EncodedInstance

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_12 = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
J2K = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
JPEG_XL = "1.2.840.10008.1.2.4.110"
JPEG_IN_XL = "1.2.840.10008.1.2.4.111"
RAW_FRAMES = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
RLE = "1.2.840.10008.1.2.5"
MPEG = "1.2.840.10008.1.2.4.102"

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
"""What is in the package of pydicom, whose own function for it would ask the network for more."""

Codec = Callable[[Any], bytes]


def of_pydicom(name: str) -> EncodedInstance:
    return EncodedInstance.from_part10((FILES / name).read_bytes())


def read(instance: EncodedInstance) -> Dataset:
    return dcmread(io.BytesIO(instance.part10()), force=True)


def grey(bits: int = 16, stored: int = 12, *, signed: bool = False, **more: Any) -> Dataset:
    """A data set that describes a grey image of 20 x 30, without pixel data."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3"
    dataset.PatientName = "Somebody^Else"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = 20
    dataset.Columns = 30
    dataset.BitsAllocated = bits
    dataset.BitsStored = stored
    dataset.HighBit = stored - 1
    dataset.PixelRepresentation = int(signed)
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def coloured(photometric: str = "RGB", bits: int = 8, **more: Any) -> Dataset:
    more = {"PlanarConfiguration": 0, **more}
    return grey(bits, bits, SamplesPerPixel=3, PhotometricInterpretation=photometric, **more)


def encapsulated(
    dataset: Dataset, syntax: str, frames: list[bytes], *, extended: bool = False
) -> EncodedInstance:
    if extended:
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = (
            encapsulate_extended(frames)
        )
    else:
        dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return encoded(dataset, syntax)


def encoded(dataset: Dataset, syntax: str) -> EncodedInstance:
    out = DicomBytesIO()
    out.is_implicit_VR = syntax == IMPLICIT
    out.is_little_endian = syntax != BIG_ENDIAN
    write_dataset(out, dataset)
    return EncodedInstance(dataset.SOPClassUID, dataset.SOPInstanceUID, syntax, out.getvalue())


def noise(stored: int = 12, *, colour: bool = False, signed: bool = False, seed: int = 1) -> Any:
    """Samples of 20 x 30 pixels."""
    rng = np.random.default_rng(seed)
    low, high = (-(1 << (stored - 1)), 1 << (stored - 1)) if signed else (0, 1 << stored)
    kind = np.dtype(f"{'i' if signed else 'u'}{1 if stored <= 8 else 2}")
    return rng.integers(low, high, (20, 30, 3) if colour else (20, 30), kind)


def jpeg(pixels: Any, **more: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, **{"level": 95, **more}))


def lossless(pixels: Any, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=bits))


def jpeg_ls(pixels: Any) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels, out=4 * pixels.nbytes + 1024))


def j2k(pixels: Any, bits: int, **more: Any) -> bytes:
    settings = {"codecformat": "j2k", "level": 0, "reversible": True, "bitspersample": bits}
    return bytes(imagecodecs.jpeg2k_encode(pixels, **{**settings, **more}))


def htj2k(pixels: Any, **more: Any) -> bytes:
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True, **more))


def jpeg_xl(pixels: Any, **more: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=3, **more))
