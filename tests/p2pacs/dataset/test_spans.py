import json
import warnings
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.header import BIG_ENDIAN, DEFLATED, read_header
from p2pacs.dataset.metadata import MetadataWriter, metadata_of
from p2pacs.dataset.spans import find_spans
from p2pacs.errors import BrokenInstanceError
from tests.p2pacs.study import samples

EXPLICIT, IMPLICIT = samples.EXPLICIT, "1.2.840.10008.1.2"
DATA = Path(pydicom.data.__file__).parent / "test_files"


def header_of(*, undefined: bool, implicit: bool = False) -> bytes:
    inner = Dataset()
    inner.CodeMeaning = "Schädel"
    inner.add(DataElement(0x00110010, "LO", "INNER"))
    item = Dataset()
    item.CodeValue = "T-1"
    item.ConceptCodeSequence = Sequence([inner, Dataset()])
    item["ConceptCodeSequence"].is_undefined_length = undefined
    inner.is_undefined_length_sequence_item = undefined
    dataset = samples.dataset(7, PatientName="Grün^Zoë")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PixelRepresentation = 1
    dataset.ProcedureCodeSequence = Sequence([item])
    dataset["ProcedureCodeSequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    dataset.add(DataElement(0x00110010, "LO", "OURS"))
    dataset.add(DataElement(0x00111001, "OB", b"\x01\x02"))
    dataset.add(DataElement(0x00111002, "UN", b"\x01\x02\x03\x04"))
    data = samples.encode(dataset, implicit=implicit)
    header = read_header(data, IMPLICIT if implicit else EXPLICIT)
    assert header is not None
    assert header.pixels_at is not None
    return data[: header.pixels_at]


HEADERS = [
    (header_of(undefined=undefined, implicit=syntax == IMPLICIT), syntax)
    for undefined in (False, True)
    for syntax in (EXPLICIT, IMPLICIT)
]


@pytest.mark.parametrize(("data", "syntax"), HEADERS)
def test_elements_lie_end_to_end(data: bytes, syntax: str) -> None:
    head = 12 if syntax == EXPLICIT else 8
    spans = find_spans(data, syntax)
    assert spans is not None
    assert spans.pixels == 0x7FE00010
    assert spans.bounds[-1] == len(data) - head  # of the pixel data
    assert b"".join(spans.cut(data)) == data[:-head]
    header = read_header(data, syntax)
    assert header is not None
    assert spans.tags == sorted(map(int, header.elements.keys()))
    assert find_spans(data[:-head], syntax) == evolve(spans, pixels=None)


@pytest.mark.parametrize(("whole", "syntax"), HEADERS)
def test_what_breaks_off_is_not_plain(whole: bytes, syntax: str) -> None:
    head = 12 if syntax == EXPLICIT else 8
    spans = find_spans(whole, syntax)
    assert spans is not None
    for end in range(len(whole) - head):
        assert (find_spans(whole[:end], syntax) is None) == (end not in spans.bounds)
    assert find_spans(whole[-head:] + whole, syntax) is not None  # pixels at once
    first = whole[: spans.bounds[1]]
    assert find_spans(first + first, syntax) is None  # not ascending


def test_what_is_odd_is_left_to_others() -> None:
    assert find_spans(b"\x08\x00\x08\x00ZZ\x02\x00CT", EXPLICIT) is None
    implicit = b"\x08\x00\x08\x00\x02\x00\x00\x00CT"
    assert find_spans(implicit, EXPLICIT) is None
    assert find_spans(implicit, IMPLICIT) is not None
    assert find_spans(b"\x08\x00\x08\x00CS\x02\x00CT" + bytes(20_000), IMPLICIT) is None
    assert find_spans(HEADERS[0][0], BIG_ENDIAN) is None
    assert find_spans(HEADERS[0][0], DEFLATED) is None
    assert find_spans(b"\xe0\x7f\x10\x00US\x02\x00\x00\x00", EXPLICIT) is None
    unknown = b"\x11\x00\x01\x10UN\0\0\xff\xff\xff\xff"
    assert find_spans(unknown + b"\xfe\xff\xdd\xe0\0\0\0\0", EXPLICIT) is None
    deep = b"\x11\x00\x01\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    assert find_spans(deep * 100_000, EXPLICIT) is None


def same(data: bytes, writer: MetadataWriter, syntax: str) -> None:
    """What is told by bytes is what is told by reading all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = read_header(data, syntax)
        if header is None:
            with pytest.raises(BrokenInstanceError):
                writer.text(data, syntax, "bulk")
            return
        found: dict[str, Any] = metadata_of(header, data, syntax, "bulk")
        told = json.loads(writer.text(data, syntax, "bulk"))
    assert list(told.items()) == list(found.items())


@given(
    st.sampled_from(HEADERS),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=4)), max_size=3),
    st.integers(0, 2000),
)
def test_damaged_headers_are_told_as_pydicom_reads_them(
    header: tuple[bytes, str], changes: list[tuple[int, bytes]], end: int
) -> None:
    data, syntax = header
    damaged = bytearray(data)
    for at, new in changes:
        damaged[at : at + len(new)] = new
    same(bytes(damaged[:end] if end % 3 else damaged), MetadataWriter(), syntax)


def test_real_headers_are_mostly_plain() -> None:
    writer, plain, others = MetadataWriter(), 0, 0
    for path in sorted(DATA.rglob("*.dcm")):
        try:
            instance = read_instance(path.read_bytes())
        except BrokenInstanceError:
            continue
        syntax = instance.transfer_syntax_uid
        same(instance.data, writer, syntax)
        if syntax not in (BIG_ENDIAN, DEFLATED):
            is_plain = find_spans(instance.data, syntax) is not None
            plain, others = plain + is_plain, others + (not is_plain)
    assert plain > 40
    assert others < plain / 5
