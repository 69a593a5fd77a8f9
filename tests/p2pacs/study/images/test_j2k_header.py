"""Codestreams put together marker by marker: what passes, and each thing that does not."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.images.j2k_header import J2kInfo, inspect

SIZES: dict[str, int] = {
    "capabilities": 0x4000,
    "columns": 100,
    "rows": 80,
    "x": 0,
    "y": 0,
    "tile_columns": 100,
    "tile_rows": 80,
    "tile_x": 0,
    "tile_y": 0,
    "samples": 1,
}
STYLES: dict[str, int] = {
    "style": 0,
    "order": 2,
    "layers": 1,
    "colour": 0,
    "levels": 2,
    "block_columns": 4,
    "block_rows": 4,
    "blocks": 0x40,
    "transform": 1,
}


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">HH", marker, len(body) + 2) + body


def tile_part(number: int, parts: int, body: bytes, **changes: int) -> bytes:
    values = {"length": 10, "tile": 0, "size": 14 + len(body), "data": 0xFF93, **changes}
    head = struct.pack(
        ">HHHIBB", 0xFF90, values["length"], values["tile"], values["size"], number, parts
    )
    return head + struct.pack(">H", values["data"]) + body


def main(component: bytes = b"\x0f\x01\x01", *, spare: bytes = b"", **changes: int) -> bytes:
    sizes = {name: changes.get(name, value) for name, value in SIZES.items()}
    styles = {name: changes.get(name, value) for name, value in STYLES.items()}
    size = struct.pack(">HIIIIIIIIH", *sizes.values()) + component
    style = struct.pack(">BBHBBBBBB", *styles.values())
    return b"\xff\x4f" + b"".join(
        (
            segment(0xFF51, size),
            segment(0xFF50, bytes(6)),
            segment(0xFF52, style),
            segment(0xFF5C, bytes(9)),
            spare,
        )
    )


def parts(count: int = 3) -> bytes:
    return b"".join(tile_part(number, count, bytes(10 * number + 1)) for number in range(count))


def test_what_our_encoder_writes_passes() -> None:
    head = main()
    found = inspect(head + parts() + b"\xff\xd9")
    ends = (len(head) + 15, len(head) + 15 + 25, len(head) + 15 + 25 + 35)
    assert found == J2kInfo(80, 100, 1, 16, 2, ends, whole=True)


def test_colours_and_bytes_pass() -> None:
    found = inspect(main(b"\x07\x01\x01" * 3, samples=3, colour=1) + parts() + b"\xff\xd9")
    assert (found.samples, found.bits) == (3, 8)


def test_a_beginning_has_the_resolutions_that_are_whole() -> None:
    whole = main() + parts() + b"\xff\xd9"
    ends = inspect(whole).ends
    for length in range(len(main()) + 4, len(whole)):
        found = inspect(whole[:length])
        assert found.ends == tuple(end for end in ends if end <= length)
        assert not found.whole


def test_a_comment_passes_and_what_follows_the_end_is_not_whole() -> None:
    comment = segment(0xFF64, b"\0\1some words")
    assert inspect(main(spare=comment) + parts() + b"\xff\xd9").whole
    assert not inspect(main() + parts() + b"\xff\xd9\0").whole
    assert not inspect(main() + parts() + b"\xff").whole


@pytest.mark.parametrize(
    "changes",
    [
        {"x": 1},
        {"y": 1},
        {"tile_columns": 50},
        {"tile_rows": 1},
        {"tile_x": 1},
        {"tile_y": 1},
        {"rows": 0, "tile_rows": 0},
        {"columns": 0, "tile_columns": 0},
        {"samples": 0, "component": b""},
        {"samples": 2, "component": b"\x0f\x01\x01" * 2},
        {"samples": 16384, "component": b"\x0f\x01\x01" * 16384},
        {"samples": 3},
        {"component": b"\x8f\x01\x01"},  # signed
        {"component": b"\x25\x01\x01"},  # 38 bits
        {"component": b"\x0f\x02\x01"},  # subsampled
        {"component": b"\x0f\x01\x01\x0f"},
        {"samples": 3, "component": b"\x0f\x01\x01\x07\x01\x01\x0f\x01\x01"},
        {"style": 1},  # precincts
        {"order": 0},
        {"layers": 65535},
        {"colour": 1},
        {"levels": 33},
        {"block_columns": 0},  # 4 columns a block: as many blocks as pixels
        {"block_rows": 8},
        {"blocks": 0},  # not HTJ2K
        {"transform": 0},  # lossy
        {"spare": segment(0xFF52, bytes(10))},  # twice
        {"spare": segment(0xFF5F, bytes(9))},  # POC
        {"spare": segment(0xFF53, bytes(9))},  # COC
        {"spare": b"\xff\x64\0\0"},  # a length of nothing
    ],
)
def test_what_is_not_one_plain_image_is_refused(changes: Any) -> None:
    with pytest.raises(CodingError):
        inspect(main(**changes) + parts() + b"\xff\xd9")


@pytest.mark.parametrize(
    "bad",
    [
        tile_part(0, 3, b"", tile=1),
        tile_part(1, 3, b""),
        tile_part(0, 1, b""),
        tile_part(0, 3, b"", size=0),
        tile_part(0, 3, b"", size=13),
        tile_part(0, 3, b"", length=12),
        tile_part(0, 3, b"", data=0xFF52),  # a style of the tile's own
        b"\xff\x90" + bytes(20),
    ],
)
def test_other_tile_parts_are_refused(bad: bytes) -> None:
    with pytest.raises(CodingError):
        inspect(main() + bad)


def test_headers_without_end_or_missing_are_refused() -> None:
    comment = segment(0xFF64, bytes(200))
    for bad in (
        b"",
        b"\xff\x4f",
        main(),
        main(spare=comment * 9) + parts(),
        b"\xff\x4f" + segment(0xFF51, bytes(9)) + parts(),
        b"\0\0\0\x0cjP  \r\n\x87\n" + main() + parts(),
    ):
        with pytest.raises(CodingError):
            inspect(bad)


@given(st.binary(max_size=120), st.integers(0, 200))
def test_anything_is_inspected_or_refused(raw: bytes, at: int) -> None:
    whole = main() + parts() + b"\xff\xd9"
    for changed in (
        raw,
        b"\xff\x4f\xff\x51" + raw,
        whole[:at] + raw,
        whole[:at] + raw + whole[at:],
    ):
        with contextlib.suppress(CodingError):
            inspect(changed)
