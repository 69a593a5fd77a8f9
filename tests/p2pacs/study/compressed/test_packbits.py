from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.decoders.rle import _rle_decode_segment
from pydicom.pixels.encoders.native import _encode_row

from p2pacs.study.compressed import packbits
from p2pacs.study.compressed.packbits import PackRule, pack_rows

SKEWED = st.sampled_from([0, 0, 0, 0, 0, 1, 1, 2, 3, 250])


@st.composite
def planes(draw: st.DrawFn) -> np.ndarray:
    """Rows with runs, pairs and noise, also longer than packets."""
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 400))
    size = rows * columns
    found: list[int] = []
    while len(found) < size:
        kind = draw(st.sampled_from(["run", "pairs", "noise", "few"]))
        length = draw(st.one_of(st.integers(1, 10), st.integers(110, 280)))
        seed = draw(st.integers(0, 255))
        if kind == "run":
            found += [seed] * length
        elif kind == "pairs":
            found += [value % 256 for at in range(length) for value in (seed + at,) * 2]
        elif kind == "noise":
            found += [(seed + at * 7) % 256 for at in range(length)]
        else:
            found += np.random.default_rng(seed).integers(0, 3, length).tolist()
    return np.array(found[:size], np.uint8).reshape(rows, columns)


def dcmtk_row(row: bytes) -> bytes:
    """As DcmRLEEncoder does it."""
    out, literal = bytearray(), bytearray()

    def flush() -> None:
        for at in range(0, len(literal), 128):
            part = literal[at : at + 128]
            out.extend((len(part) - 1, *part))
        literal.clear()

    at = 0
    for value, group in groupby(row):
        length = len(list(group))
        at += length
        if length < 3 and not (length == 2 and at == len(row)):
            literal.extend([value] * length)
            continue
        flush()
        while length > 1:
            out.extend((257 - min(length, 128), value))
            length -= min(length, 128)
        if length:
            out.extend((0, value))
    flush()
    return bytes(out)


@given(planes())
def test_rule_of_pydicom(plane: np.ndarray) -> None:
    expected = b"".join(_encode_row(row.tobytes()) for row in plane)
    assert pack_rows(plane, PackRule.PYDICOM) == expected


@given(planes())
def test_rule_of_dcmtk(plane: np.ndarray) -> None:
    expected = b"".join(dcmtk_row(row.tobytes()) for row in plane)
    assert pack_rows(plane, PackRule.DCMTK) == expected


@given(planes())
def test_rule_of_gdcm(plane: np.ndarray) -> None:
    """By numpy where it can be, byte by byte where literals are long: the same."""
    expected = b"".join(packbits._gdcm_row(row.tobytes()) for row in plane)
    assert pack_rows(plane, PackRule.GDCM) == expected


@given(planes(), st.sampled_from(list(PackRule)))
def test_all_unpack(plane: np.ndarray, rule: PackRule) -> None:
    packed = pack_rows(plane, rule)
    assert bytes(_rle_decode_segment(packed)) == plane.tobytes()
    assert len(packed) <= 2 * plane.size


@pytest.mark.parametrize("block", [1, 500, 1000])
def test_blocks_join(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = np.random.default_rng(1).integers(0, 3, (40, 77), np.uint8)
    whole = [pack_rows(plane, rule) for rule in PackRule]
    monkeypatch.setattr(packbits, "_BLOCK", block)
    assert [pack_rows(plane, rule) for rule in PackRule] == whole
