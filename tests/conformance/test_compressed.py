"""What others compressed gets smaller and comes back bit for bit, by the whole road: DCMTK's
streams of real images, and the images of WG-04."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.study.coding import code
from p2pacs.study.compressed import COMPRESSED, RLE
from p2pacs.study.images import Coding
from p2pacs.study.split import Kind
from tests.conformance.test_exactness import both, coded, travel
from tests.gdcm_native import CHECKERS
from tests.odd import ODD_BYTES, ODD_VALUES
from tests.wg04 import files

pytestmark = [ODD_BYTES, ODD_VALUES]

LOSSLESS = {
    "ct-ge": 1.25,
    "ct-philips-brain-1mm": 1.25,
    "ct-philips-brain-5mm": 1.25,
    "mr-siemens-mprage": 1.1,
    "mr-ge-fmri64": 1.0,
}
"""Times that frames in JPEG Lossless get smaller, previews counted."""

ENCODERS = {
    "sv1": ["dcmcjpeg", "+e1"],
    **{f"predictor {value}": ["dcmcjpeg", "+el", "+sv", str(value)] for value in range(1, 8)},
}


def compressed(
    folder: str, command: list[str], tmp_path: Path, count: int
) -> list[EncodedInstance]:
    """Some images of a series, every so many."""
    paths = sorted(Path(os.environ["P2PACS_DICOM_DATA"], folder).iterdir())
    made = []
    for number, path in enumerate(paths[:: max(1, len(paths) // count)][:count]):
        target = tmp_path / f"{number}.dcm"
        subprocess.run([*command, str(path), str(target)], check=True, capture_output=True)
        made.append(read_instance(target.read_bytes()))
    return made


@pytest.mark.data
@pytest.mark.dcmtk
@pytest.mark.parametrize("folder", list(LOSSLESS))
def test_jpeg_lossless_gets_smaller(folder: str, tmp_path: Path) -> None:
    instances = compressed(folder, ENCODERS["sv1"], tmp_path, 6)
    codeds = [code(each) for each in instances]
    assert travel(codeds, 32 * 1024) == instances
    frames = [blob for each in codeds for blob in each.blobs if blob.kind is Kind.FRAME]
    assert {blob.codec for blob in frames} <= COMPRESSED
    previews = [blob for each in codeds for blob in each.previews]
    assert len(previews) == (0 if folder == "mr-ge-fmri64" else len(instances))
    after = sum(len(blob.coded) for blob in (*frames, *previews))
    assert sum(blob.size for blob in frames) / after >= LOSSLESS[folder]


@pytest.mark.data
@pytest.mark.dcmtk
@pytest.mark.parametrize("encoder", list(ENCODERS))
@pytest.mark.parametrize("folder", ["ct-ge", "mr-siemens-mprage"])
def test_every_predictor_comes_back(encoder: str, folder: str, tmp_path: Path) -> None:
    (instance,) = compressed(folder, ENCODERS[encoder], tmp_path, 1)
    made = code(instance)
    assert any(blob.codec in COMPRESSED for blob in made.blobs)
    assert travel([made], 32 * 1024) == [instance]


@pytest.mark.data
@pytest.mark.dcmtk
@pytest.mark.gdcm
@pytest.mark.parametrize("encoder", ["dcmcrle", "gdcm"])
@pytest.mark.parametrize("folder", ["ct-ge", "ct-philips-brain-5mm", "mr-siemens-mprage"])
def test_rle_gets_smaller(encoder: str, folder: str, tmp_path: Path) -> None:
    gdcm = [sys.executable, "-c", AS_RLE, str(CHECKERS)]
    instances = compressed(folder, gdcm if encoder == "gdcm" else [encoder], tmp_path, 3)
    codeds = [code(each) for each in instances]
    assert travel(codeds, 32 * 1024) == instances
    frames = [blob for each in codeds for blob in each.blobs if blob.kind is Kind.FRAME]
    assert {blob.codec for blob in frames} == {RLE}
    assert sum(blob.size for blob in frames) / sum(len(blob.coded) for blob in frames) > 1.5


AS_RLE = """
import sys
_, checkers, source, target = sys.argv
sys.path.append(checkers)
import gdcm
reader = gdcm.ImageReader()
reader.SetFileName(source)
assert reader.Read()
change = gdcm.ImageChangeTransferSyntax()
change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.RLELossless))
change.SetInput(reader.GetImage())
assert change.Change()
writer = gdcm.ImageWriter()
writer.SetFileName(target)
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
assert writer.Write()
"""
"""GDCM in a process of its own, as `tests.gdcm_native` has it, the other way."""


@both
@pytest.mark.wg04
@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_images_of_wg04_come_back(path: Path, coding: Coding) -> None:
    instance = read_instance(path.read_bytes())
    assert travel([coded(instance, coding)], 32 * 1024) == [instance]
