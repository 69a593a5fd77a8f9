"""A larger study out of a smaller one: its slices, turned and mirrored, as instances of their own.

Statistics stay those of real images: an image that is turned codes as well as before, and none
equals another, so nothing is published once for two.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from p2pacs.dataset.instance import EncodedInstance
from scripts.program import ScriptError

TURNS: Final = 8
"""Ways to lay a rectangle on its sides: four turns, each mirrored or not."""

STUDY: Final = "study"


def turned(instances: Sequence[EncodedInstance], count: int) -> Iterator[EncodedInstance]:
    """So many instances of one study and series, the first ones turned least.

    Args:
        instances: images with one native frame of one sample a pixel; others are left out.
        count: how many, at most `TURNS` times as many as there are such images.

    Raises:
        ScriptError: there are too few.
    """
    images = [instance for instance in instances if _is_image(_dataset(instance))]
    if len(images) * TURNS < count:
        raise ScriptError(f"{len(images)} images are too few for {count} slices")
    for number in range(count):
        turn, image = divmod(number, len(images))
        yield _turned(images[image], turn, number + 1)


def study_uid() -> str:
    """The Study Instance UID of what `turned` makes."""
    return _uid(STUDY)


def turned_pixels(pixels: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """An image (rows, columns), turned by ``turn % 4`` quarters and mirrored from 4 on."""
    quarters = np.rot90(pixels, turn % 4)
    return np.ascontiguousarray(np.fliplr(quarters) if turn >= TURNS // 2 else quarters)


def _dataset(instance: EncodedInstance) -> Dataset:
    return pydicom.dcmread(io.BytesIO(instance.part10()))


def _is_image(dataset: Dataset) -> bool:
    size = dataset.get("Rows", 0) * dataset.get("Columns", 0) * dataset.get("BitsAllocated", 0) // 8
    return (
        not dataset.file_meta.TransferSyntaxUID.is_encapsulated
        and dataset.get("BitsAllocated") in (8, 16)
        and 0 < size <= len(dataset.get("PixelData", b"")) <= size + 1
    )


def _turned(instance: EncodedInstance, turn: int, number: int) -> EncodedInstance:
    dataset = _dataset(instance)
    size = dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8
    samples = np.frombuffer(dataset.PixelData[:size], f"V{dataset.BitsAllocated // 8}")
    pixels = turned_pixels(samples.reshape(dataset.Rows, dataset.Columns), turn)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset["PixelData"].value = pixels.tobytes() + dataset.PixelData[size:]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid(STUDY), _uid("series")
    dataset.SOPInstanceUID = _uid(f"instance {number}")
    dataset.InstanceNumber = number
    syntax = instance.transfer_syntax_uid
    out = DicomBytesIO()
    out.is_little_endian = syntax != ExplicitVRBigEndian
    out.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(out, Dataset(dataset))
    return EncodedInstance(
        instance.sop_class_uid, str(dataset.SOPInstanceUID), syntax, bytes(out.getvalue())
    )


def _uid(what: str) -> str:
    """A UID out of a UUID (PS3.5 B.2), the same every time."""
    return f"2.25.{uuid5(NAMESPACE_OID, f'p2pacs turned {what}').int}"
