"""Images of WG-04 as they are converted, against WG-04's own; and others that pydicom keeps
elsewhere, against GDCM and DCMTK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import TranscodingError
from p2pacs.transcode.transcoding import transcode
from tests import gdcm_native
from tests.conformance.test_transcoding import (
    assert_rest_unchanged,
    assert_same_pixels,
    by_dcmtk,
    read,
)
from tests.odd import ODD_BYTES, ODD_VALUES
from tests.p2pacs.transcode.samples import EXPLICIT
from tests.wg04 import IMAGES, files

pytestmark = [pytest.mark.wg04, ODD_BYTES, ODD_VALUES]

BROKEN = "emri_small_jpeg_2k_lossless_too_short.dcm"


def syntax_of(path: Path) -> str | None:
    """As its file meta information says, without reading all of it."""
    header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=[])
    return header.file_meta.get("TransferSyntaxUID")


OWN = ("MR2", "RG1", "RG3", "US1")
"""Images of WG-04."""
OTHERS = [
    path.name
    for path in files()
    if not path.name.startswith((*OWN, BROKEN)) and syntax_of(path) != EXPLICIT
]
PALETTES = [0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222, 0x00281223]
"""Words, which are in another order in Big Endian."""


def instance_of(name: str) -> EncodedInstance:
    return read_instance((IMAGES / name).read_bytes())


def pixels(dataset: Dataset) -> np.ndarray:
    wide = dataset.BitsAllocated == 16
    kind = ("i2" if dataset.PixelRepresentation else "u2") if wide else "u1"
    return np.frombuffer(dataset.PixelData, f"<{kind}").astype(int)


@pytest.mark.parametrize("image", OWN)
@pytest.mark.parametrize(("coded", "own"), [("J2KR", "UNCR"), ("J2KI", "UNCI")])
def test_images_of_wg04_are_as_it_decoded_them(image: str, coded: str, own: str) -> None:
    """UNCR and UNCI are what the working group itself made of J2KR (reversible) and J2KI."""
    instance = instance_of(f"{image}_{coded}.dcm")
    ours, theirs = read(transcode(instance, EXPLICIT)), dcmread(IMAGES / f"{image}_{own}.dcm")
    assert ours.PhotometricInterpretation == theirs.PhotometricInterpretation
    difference = np.abs(pixels(ours) - pixels(theirs)).max()
    assert difference <= (coded == "J2KI"), "reals may be rounded in another way"


@pytest.mark.gdcm
@pytest.mark.dcmtk
@pytest.mark.parametrize("name", OTHERS)
def test_further_images_of_pydicom_are_gdcms_and_dcmtks(name: str, tmp_path: Path) -> None:
    instance, theirs = instance_of(name), tmp_path / "theirs.dcm"
    converted = transcode(instance, EXPLICIT)
    ours, checked = read(converted), 0
    if gdcm_native.convert(IMAGES / name, theirs):
        assert_same_pixels(ours, dcmread(theirs))
        checked += 1
    if by_dcmtk(IMAGES / name, theirs, instance.transfer_syntax_uid):
        other = dcmread(theirs)
        assert_same_pixels(ours, other)
        assert [tag for tag in PALETTES if ours.get(tag) != other.get(tag)] == []
        checked += 1
    assert checked, "neither of the two can"
    if not any(tag in ours for tag in PALETTES):  # pydicom does not turn their words
        assert_rest_unchanged(instance, converted)


def test_what_breaks_off_is_refused() -> None:
    with pytest.raises(TranscodingError, match="breaks off"):
        transcode(instance_of(BROKEN), EXPLICIT)
