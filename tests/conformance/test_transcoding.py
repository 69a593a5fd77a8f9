"""What is converted is compared with what GDCM and DCMTK make of the same file."""

from __future__ import annotations

import io
import subprocess
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.pixels import convert_color_space
from pydicom.tag import Tag

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import P2PacsError, TranscodingError
from p2pacs.transcode.syntaxes import TARGETS, coding_of
from p2pacs.transcode.transcoding import transcode, transcoded_bytes
from tests import gdcm_native
from tests.odd import ODD_BYTES, ODD_VALUES
from tests.p2pacs.transcode.samples import EXPLICIT, FILES

pytestmark = [ODD_BYTES, ODD_VALUES]

REFUSED = {
    # Its codestream declares another size; nobody decodes it.
    "JPEG2000-embedded-sequence-delimiter.dcm": "other rows or columns",
    # Big endian samples of 32 bits: DCMTK and GDCM read them as words, pydicom wrote them whole.
    "rtdose_expb.dcm": "longer than words",
    "rtdose_expb_1frame.dcm": "longer than words",
    "MR_truncated.dcm": "breaks off",
    "rtplan_truncated.dcm": "breaks off",
    "DICOMDIR-nooffset": "breaks off",
}
"""What cannot be converted, and why."""

GDCM_DIFFERS = {
    # RLE of colours of more than 8 bits: DCMTK and pydicom agree with us.
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_rle_32bit.dcm",
}

TOOLS = {
    **dict.fromkeys((".4.50", ".4.51", ".4.57", ".4.70"), "dcmdjpeg"),
    **dict.fromkeys((".4.80", ".4.81"), "dcmdjpls"),
    **dict.fromkeys((".2", ".1.99", "", ".1"), "dcmconv"),
    ".5": "dcmdrle",
}
"""DCMTK's tools by transfer syntax."""

PIXEL_MODULE = {0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00010}
"""Attributes that may change."""

SERIES = ["ct-ge", "ct-philips-brain-5mm", "mr-siemens-mprage", "mr-ge-fmri64"]

ENCODERS = {
    "sv1": ["dcmcjpeg", "+e1"],
    "predictor 2": ["dcmcjpeg", "+el", "+sv", "2"],
    "predictor 5": ["dcmcjpeg", "+el", "+sv", "5"],
    "predictor 7": ["dcmcjpeg", "+el", "+sv", "7"],
    "JPEG-LS": ["dcmcjpls", "+el"],
    "RLE": ["dcmcrle"],
    "big endian": ["dcmconv", "+tb"],
    "implicit": ["dcmconv", "+ti"],
    "deflated": ["dcmconv", "+td"],
}

COLOUR_ENCODERS = {
    "baseline": ["dcmcjpeg", "+eb"],
    "baseline of RGB": ["dcmcjpeg", "+eb", "+cr"],
    "baseline of 4:4:4": ["dcmcjpeg", "+eb", "+s4"],
    "sv1": ["dcmcjpeg", "+e1"],
    "JPEG-LS by line": ["dcmcjpls", "+el", "+il"],
    "JPEG-LS by sample": ["dcmcjpls", "+el", "+is"],
    "JPEG-LS by plane": ["dcmcjpls", "+el", "+in"],
    "RLE": ["dcmcrle"],
}


def files() -> Iterator[tuple[str, EncodedInstance]]:
    """What pydicom's package has."""
    for path in sorted(FILES.rglob("*")):
        if not path.is_file():
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield path.relative_to(FILES).as_posix(), read_instance(path.read_bytes())
        except P2PacsError:
            continue  # no instance


INSTANCES = dict(files())
CONVERTED = {name: one for name, one in INSTANCES.items() if one.transfer_syntax_uid != EXPLICIT}


def read(instance: EncodedInstance) -> Dataset:
    return dcmread(io.BytesIO(instance.part10()), force=True)


def suffix(syntax: str) -> str:
    return syntax.removeprefix("1.2.840.10008.1.2")


def by_dcmtk(source: Path, target: Path, syntax: str) -> bool:
    tool = TOOLS.get(suffix(syntax))
    return tool is not None and run(tool, "+te", str(source), str(target))


def run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def assert_same_pixels(ours: Dataset, theirs: Dataset) -> None:
    if "PixelData" not in ours:
        assert "PixelData" not in theirs
        return
    assert "Rows" not in ours or len(ours.PixelData) == len(theirs.PixelData)
    if ours.get("PhotometricInterpretation") != theirs.get("PhotometricInterpretation"):
        # GDCM leaves what a JPEG has as it is there; conversion rounds.
        assert (ours.PhotometricInterpretation, theirs.PhotometricInterpretation) == (
            "RGB",
            "YBR_FULL",
        )
        own, other = (
            np.frombuffer(one.PixelData, np.uint8)[: one.Rows * one.Columns * 3]
            for one in (ours, theirs)
        )
        pixels = convert_color_space(
            other.reshape(theirs.Rows, theirs.Columns, 3), "YBR_FULL", "RGB"
        )
        assert np.abs(pixels.ravel().astype(int) - own).max() <= 2
        return
    if ours.get("PixelRepresentation") == 1 and ours.PixelData != theirs.PixelData:
        # What stands above Bits Stored means nothing: GDCM leaves the sign away there.
        mask = (1 << ours.BitsStored) - 1
        assert np.array_equal(ours.pixel_array & mask, theirs.pixel_array & mask)
        return
    assert ours.PixelData == theirs.PixelData
    assert ours.get("PlanarConfiguration") == theirs.get("PlanarConfiguration")


def assert_rest_unchanged(before: EncodedInstance, after: EncodedInstance) -> None:
    old, new = read(before), read(after)
    for tag in {*map(int, old.keys()), *map(int, new.keys())} - PIXEL_MODULE:
        if tag & 0xFFFF == 0:
            continue  # group lengths, which change
        one, other = (held.get_item(Tag(tag), keep_deferred=True) for held in (old, new))
        assert one is not None, f"{tag:08X}"
        assert other is not None, f"{tag:08X}"
        raw = isinstance(one, RawDataElement) and isinstance(other, RawDataElement)
        if raw and one.is_little_endian and "SQ" not in (one.VR, other.VR):
            assert (one.value or b"") == (other.value or b""), f"{tag:08X}"
        elif not (tag >> 16) % 2:  # pydicom guesses what private elements are, if they do not say
            assert old[tag] == new[tag], f"{tag:08X}"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", INSTANCES)
def test_only_what_must_change_does(name: str, target: str) -> None:
    instance = INSTANCES[name]
    why = REFUSED.get(name.rpartition("/")[2])
    if why is not None and instance.transfer_syntax_uid != target:
        with pytest.raises(TranscodingError, match=why):
            transcode(instance, target)
        return
    found = transcode(instance, target)
    assert len(found.data) <= max(transcoded_bytes(instance), len(instance.data))
    assert_rest_unchanged(instance, found)


def test_gdcm_stands_aside() -> None:
    """pydicom would load it into every program: 18 MB each, and other decoders than of those who
    install p2pacs."""
    assert find_spec("gdcm") is None, "uninstall python-gdcm here: scripts/test has it elsewhere"


@pytest.mark.gdcm
@pytest.mark.parametrize("name", CONVERTED)
def test_the_pixels_are_gdcms(name: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
    source.write_bytes(CONVERTED[name].part10())
    if name in REFUSED or name in GDCM_DIFFERS or not gdcm_native.convert(source, target):
        pytest.skip("one of the two cannot")
    assert_same_pixels(read(transcode(CONVERTED[name], EXPLICIT)), dcmread(target))


@pytest.mark.dcmtk
@pytest.mark.parametrize("name", CONVERTED)
def test_the_pixels_are_dcmtks(name: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
    instance = CONVERTED[name]
    source.write_bytes(instance.part10())
    if name in REFUSED or not by_dcmtk(source, target, instance.transfer_syntax_uid):
        pytest.skip("one of the two cannot")
    assert_same_pixels(read(transcode(instance, EXPLICIT)), dcmread(target))


@pytest.mark.dcmtk
@pytest.mark.data
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("series", SERIES)
def test_real_images_come_back(series: str, encoder: str, data_dir: Path, tmp_path: Path) -> None:
    paths = sorted(path for path in (data_dir / series).iterdir() if path.is_file())
    for path in (paths[0], paths[len(paths) // 2]):
        coded = tmp_path / f"{path.stem}.dcm"
        assert run(*ENCODERS[encoder], str(path), str(coded))
        instance = EncodedInstance.from_part10(coded.read_bytes())
        original = dcmread(path)
        for target in TARGETS:
            found = transcode(instance, target)
            assert read(found).PixelData == original.PixelData
            assert_rest_unchanged(instance, found)


@pytest.mark.dcmtk
@pytest.mark.data
@pytest.mark.parametrize(
    "options",
    [["dcmcjpeg", "+e1", "+pt", "1"], ["dcmcjpls", "+en", "+md", "2"]],
    ids=lambda o: o[1],
)
def test_real_images_with_losses_are_dcmtks(
    options: list[str], data_dir: Path, tmp_path: Path
) -> None:
    path = min((data_dir / "ct-philips-brain-5mm").iterdir())
    coded, theirs = tmp_path / "coded.dcm", tmp_path / "theirs.dcm"
    assert run(*options, str(path), str(coded))
    instance = EncodedInstance.from_part10(coded.read_bytes())
    assert by_dcmtk(coded, theirs, instance.transfer_syntax_uid)
    assert_same_pixels(read(transcode(instance, EXPLICIT)), dcmread(theirs))


@pytest.mark.dcmtk
@pytest.mark.parametrize("encoder", COLOUR_ENCODERS)
@pytest.mark.parametrize("name", ["examples_rgb_color.dcm", "examples_palette.dcm"])
def test_colours_are_dcmtks(name: str, encoder: str, tmp_path: Path) -> None:
    coded, theirs = tmp_path / "coded.dcm", tmp_path / "theirs.dcm"
    assert run(*COLOUR_ENCODERS[encoder], str(FILES / name), str(coded))
    instance = EncodedInstance.from_part10(coded.read_bytes())
    assert by_dcmtk(coded, theirs, instance.transfer_syntax_uid)
    ours = read(transcode(instance, EXPLICIT))
    assert_same_pixels(ours, dcmread(theirs))
    assert ours.PhotometricInterpretation in ("RGB", "PALETTE COLOR")


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    "name", [name for name, one in INSTANCES.items() if coding_of(one.transfer_syntax_uid) is None]
)
def test_dcmtk_reads_what_is_rewritten(name: str, tmp_path: Path) -> None:
    if name.rpartition("/")[2] in REFUSED:
        pytest.skip("it cannot be converted")
    for target in TARGETS:
        made = tmp_path / "made.dcm"
        made.write_bytes(transcode(INSTANCES[name], target).part10())
        assert run("dcmdump", "-q", "+E", str(made))
