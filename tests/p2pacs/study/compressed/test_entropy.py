from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings

from p2pacs.errors import CodingError
from p2pacs.study.compressed import entropy
from p2pacs.study.compressed.entropy import code_scan, code_words
from p2pacs.study.compressed.jpeg_headers import HuffmanTable, read_lossless
from tests.p2pacs.study.compressed.made import MadeJpeg, category, extra, jpegs

FLAT = HuffmanTable(bytes((0, 0, 0, 0, 17, *[0] * 11)), bytes(range(17)))


def check(made: MadeJpeg) -> None:
    stream = made.stream()
    headers = read_lossless(stream, is_recipe=False)
    samples = made.samples.astype(np.uint16)
    for scan in headers.scans:
        own = samples[..., list(scan.components)]
        found = code_scan(own, scan, made.precision, made.pad, len(stream))
        assert found == stream[scan.at : scan.end]


@settings(max_examples=200)
@given(jpegs())
def test_scans_are_those_of_the_standard(made: MadeJpeg) -> None:
    check(made)


@pytest.mark.parametrize("block", [1, 64, 200])
def test_blocks_join(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entropy, "_BLOCK", block)
    for predictor in range(1, 8):
        check(MadeJpeg(rows=31, columns=13, predictor=predictor, restart_rows=9, components=3))


def test_words_of_sixty_four_bits() -> None:
    """The longest code words there are, where two of them fill a word."""
    table = HuffmanTable(bytes((*[0] * 15, 17)), bytes(range(17)))
    assert {int(word) >> 32 for word in code_words(table)} == {*range(16, 32)}
    check(MadeJpeg(rows=40, columns=40, precision=16, content="noise"))
    check(MadeJpeg(rows=40, columns=40, precision=16, content="extremes"))


def test_code_words() -> None:
    for difference in (*range(-300, 300), -32767, 32767, 32768):
        size = category(difference)
        bits = f"{size:05b}" + extra(difference)
        word = int(code_words(FLAT)[difference & 0xFFFF])
        assert f"{word & 0xFFFFFFFF:0{word >> 32}b}" == bits


def test_what_has_no_code() -> None:
    made = MadeJpeg(content="noise")
    (scan,) = read_lossless(made.stream(), is_recipe=False).scans
    few = evolve(scan, tables=(HuffmanTable(bytes((2, *[0] * 15)), b"\0\1"),))
    with pytest.raises(CodingError, match="no code"):
        code_scan(made.samples.astype(np.uint16), few, made.precision, 1, 1 << 20)


def test_no_more_than_it_may_have() -> None:
    made = MadeJpeg(rows=60, columns=60, content="noise")
    (scan,) = read_lossless(made.stream(), is_recipe=False).scans
    with pytest.raises(CodingError, match="longer"):
        code_scan(made.samples.astype(np.uint16), scan, made.precision, 1, 1000)
