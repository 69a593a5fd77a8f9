from __future__ import annotations

import pytest

from p2pacs.dataset.header import read_header
from p2pacs.study.compressed.description import compressed_shape, is_cut
from p2pacs.transcode.syntaxes import FrameCoding
from tests.p2pacs.study.samples import EXPLICIT, instance

SV1 = "1.2.840.10008.1.2.4.70"


def test_what_a_header_says() -> None:
    header = read_header(instance(rows=20, columns=30).data, EXPLICIT)
    assert header is not None
    found = compressed_shape(header, SV1)
    assert found is not None
    assert found.coding is FrameCoding.JPEG_LOSSLESS
    assert (found.shape.rows, found.shape.columns) == (20, 30)
    assert (found.image.rows, found.image.stored) == (20, found.stored)
    assert compressed_shape(header, EXPLICIT) is None


@pytest.mark.parametrize(
    ("syntax", "cut"),
    [
        (SV1, True),
        ("1.2.840.10008.1.2.4.50", True),
        ("1.2.840.10008.1.2.4.80", True),
        ("1.2.840.10008.1.2.4.90", True),
        ("1.2.840.10008.1.2.5", True),
        ("1.2.840.10008.1.2.4.102", False),  # MPEG-4: one fragment is no frame
        ("1.2.840.10008.1.2.1.98", False),
        (EXPLICIT, False),
        ("1.2.3", False),
    ],
)
def test_which_are_cut_into_frames(syntax: str, cut: bool) -> None:
    assert is_cut(syntax) is cut
