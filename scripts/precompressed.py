"""Series as a PACS has them that compresses: DCMTK's streams of native images."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import read_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import number
from p2pacs.dataset.pixel_data import frame_bits
from scripts.program import ScriptError


class Compression(StrEnum):
    """What images are compressed with before they are measured."""

    SV1 = "sv1"
    """JPEG Lossless, selection value 1."""
    BASELINE = "baseline"
    RLE = "rle"
    JPEG_LS = "jpeg-ls"


_TOOLS: Final = {
    Compression.SV1: ["dcmcjpeg", "+e1"],
    Compression.BASELINE: ["dcmcjpeg", "+eb"],
    Compression.RLE: ["dcmcrle"],
    Compression.JPEG_LS: ["dcmcjpls"],
}
"""DCMTK's."""


def compressed(instances: Sequence[EncodedInstance], how: Compression) -> list[EncodedInstance]:
    """The same images, compressed.

    Raises:
        ScriptError: DCMTK cannot.
    """
    made = []
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "from.dcm"), Path(folder, "to.dcm")
        for instance in instances:
            source.write_bytes(instance.part10())
            command = [*_TOOLS[how], str(source), str(target)]
            if subprocess.run(command, check=False, capture_output=True).returncode:
                raise ScriptError(f"{_TOOLS[how][0]} cannot compress an image")
            made.append(EncodedInstance.from_part10(target.read_bytes()))
    return made


def native_bytes(instance: EncodedInstance) -> int:
    """Bytes of its frames when they are native, as its header says."""
    header = read_header(instance.data, instance.transfer_syntax_uid)
    if header is None or header.pixels_at is None:
        return 0
    attributes = attributes_of(header)
    return (number(attributes, "NumberOfFrames") or 1) * frame_bits(attributes) // 8
