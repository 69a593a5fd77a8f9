"""A made-up CT study: no patient, but as hard to code as a real one.

A body with lungs, spine, ribs and a table; soft tissue that varies smoothly in all three
directions; and correlated noise of some 12 HU, which is what decides how small a real CT
gets. The same seed gives the same bytes.

    python -m scripts.phantom FOLDER --slices 20
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from p2pacs.dataset.instance import EncodedInstance

SIZE = 512
PIXEL_MM = 0.78
SLICE_MM = 2.5
AIR_HU = -1000.0
NOISE_HU = 12.0

Image = npt.NDArray[np.float32]


def slices(count: int, seed: int = 1) -> Iterator[EncodedInstance]:
    """The instances of one axial series, head to foot.

    Args:
        count: slices, of 512x512 pixels, 12 bits stored of 16: 0.5 MB each.
        seed: which phantom; the UIDs follow from it, too.
    """
    field = _Texture(np.random.default_rng(seed))
    x, y = _axes()
    outside = ~_ellipse(x, y, (0, 0), (SIZE / 2 * PIXEL_MM, SIZE / 2 * PIXEL_MM))
    for number in range(1, count + 1):
        noise = _noise(np.random.default_rng([seed, number]))
        measured = _body((number - 1) * SLICE_MM, field) + noise
        measured[outside] = -1024  # nothing is reconstructed outside the scanner's circle
        stored = np.clip(np.rint(measured + 1024), 0, 4095).astype("<u2")
        yield _instance(stored, number, seed)


def incompressible(count: int, seed: int = 1) -> Iterator[EncodedInstance]:
    """Images of nothing but noise: as many bytes coded as not, for measuring lines and disks."""
    rng = np.random.default_rng(seed)
    for number in range(1, count + 1):
        yield _instance(rng.integers(0, 65536, (SIZE, SIZE), "<u2"), number, seed, bits=16)


class _Texture:
    """Smooth fields over x, y and z: sums of waves, a few centimetres long."""

    def __init__(self, rng: np.random.Generator) -> None:
        lengths_mm = rng.uniform(12, 60, 24)
        directions = rng.normal(size=(24, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        self._waves = 2 * np.pi * directions / lengths_mm[:, None]
        self._phases = rng.uniform(0, 2 * np.pi, 24)

    def at(self, x: Image, y: Image, z: float) -> Image:
        """Values of about -1 … 1 in the plane at ``z`` mm."""
        total = np.zeros(np.broadcast(x, y).shape, np.float32)
        for (kx, ky, kz), phase in zip(self._waves, self._phases, strict=True):
            total += np.sin(kx * x + ky * y + np.float32(kz * z + phase), dtype=np.float32)
        return total / np.float32(3.5)


def _axes() -> tuple[Image, Image]:
    axis = ((np.arange(SIZE) - SIZE / 2) * PIXEL_MM).astype(np.float32)
    return axis[None, :], axis[:, None]


def _body(z: float, texture: _Texture) -> Image:
    """Hounsfield units of the slice at ``z`` mm."""
    x, y = _axes()
    field = texture.at(x, y, z)
    breath = 1 + 0.12 * np.sin(z / 70)
    image = np.full((SIZE, SIZE), AIR_HU, np.float32)
    image[(np.abs(y - 128 - x**2 / 900) < 3) & (np.abs(x) < 180)] = -120  # the table

    def paint(inside: npt.NDArray[np.bool_], level: float, spread: float) -> None:
        image[inside] = level + spread * field[inside]

    paint(_ellipse(x, y, (0, 0), (168 * breath**0.3, 112)), -95, 12)  # fat below the skin
    paint(_ellipse(x, y, (0, 0), (152 * breath**0.3, 98)), 45, 14)  # muscle
    for side in (-1, 1):
        lung = _ellipse(x, y, (side * 72, -4), (52 * breath, 74 * breath))
        paint(lung, -840, 35)
        paint(lung & (field > 0.62), 20, 15)  # vessels
    paint(_ellipse(x, y, (18, -22), (46, 40)), 50, 10)  # the heart
    paint(_ellipse(x, y, (0, 62), (22, 18)), 320, 60)  # a vertebra
    paint(_ellipse(x, y, (0, 80), (7, 10)), 380, 60)
    paint(_ellipse(x, y, (0, 66), (8, 7)), 30, 5)  # the spinal canal
    for rib in range(10):
        angle = 2 * np.pi * (rib + 0.5) / 10 + 0.25 * np.sin(z / 25)
        paint(_ellipse(x, y, (140 * np.cos(angle), 90 * np.sin(angle)), (9, 6)), 420, 80)
    return _blur(image)


def _ellipse(
    x: Image, y: Image, centre: tuple[float, float], radii: tuple[float, float]
) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (
        ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
    ) < 1
    return inside


def _blur(image: Image) -> Image:
    """The scanner's point spread: a binomial kernel of 3x3."""
    for axis in (0, 1):
        image = (
            np.roll(image, 1, axis) + np.float32(2) * image + np.roll(image, -1, axis)
        ) / np.float32(4)
    return image


def _noise(rng: np.random.Generator) -> Image:
    """Noise that neighbouring pixels share, as reconstruction leaves it."""
    noise = _blur(rng.standard_normal((SIZE, SIZE), dtype=np.float32))
    return noise * np.float32(NOISE_HU / noise.std())


def _instance(
    stored: npt.NDArray[np.uint16], number: int, seed: int, bits: int = 12
) -> EncodedInstance:
    ds = Dataset()
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = _uid(seed, "instance", number)
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = "20260102"
    ds.StudyTime = ds.SeriesTime = "101112"
    ds.ContentTime = f"1011{number % 60:02}"
    ds.AccessionNumber = f"P{seed:06}"
    ds.Modality = "CT"
    ds.Manufacturer = "p2pacs phantom"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "Chest phantom"
    ds.SeriesDescription = f"Axial {SLICE_MM} mm"
    ds.PatientName = "Phantom^Chest"
    ds.PatientID = f"PHANTOM-{seed}"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.SliceThickness = f"{SLICE_MM}"
    ds.KVP = "120"
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID = study_uid(seed)
    ds.SeriesInstanceUID = _uid(seed, "series", 0)
    ds.StudyID = "1"
    ds.SeriesNumber = 1
    ds.InstanceNumber = number
    corner = -SIZE / 2 * PIXEL_MM
    ds.ImagePositionPatient = [corner, corner, -(number - 1) * SLICE_MM]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID = _uid(seed, "frame of reference", 0)
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = ds.Columns = SIZE
    ds.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    ds.BitsAllocated = 16
    ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.PixelRepresentation = 0
    ds.WindowCenter, ds.WindowWidth = 40, 400
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    ds["PixelData"] = _pixel_data(stored)
    return EncodedInstance(
        sop_class_uid=str(CTImageStorage),
        sop_instance_uid=str(ds.SOPInstanceUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        data=encode(ds),
    )


def _pixel_data(stored: npt.NDArray[np.uint16]) -> DataElement:
    return DataElement(0x7FE00010, "OW", stored.tobytes())


def encode(ds: Dataset) -> bytes:
    """A data set in Explicit VR Little Endian."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, ds)
    return bytes(stream.getvalue())


def study_uid(seed: int = 1) -> str:
    """The Study Instance UID of this phantom."""
    return _uid(seed, "study", 0)


def _uid(seed: int, what: str, number: int) -> str:
    """A UID out of a UUID (PS3.5 B.2), the same every time."""
    return f"2.25.{uuid5(NAMESPACE_OID, f'p2pacs phantom {seed} {what} {number}').int}"


def write(folder: Path, instances: Iterable[EncodedInstance]) -> None:
    """Writes DICOM files named 0001.dcm, 0002.dcm, …"""
    folder.mkdir(parents=True, exist_ok=True)
    for number, instance in enumerate(instances, 1):
        (folder / f"{number:04}.dcm").write_bytes(instance.part10())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Writes a made-up CT study as DICOM files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write(options.folder, slices(options.slices, options.seed))


if __name__ == "__main__":
    main()
