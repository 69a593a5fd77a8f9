"""One DICOM file of gigabytes, made while it is written: noisy frames, no two of them equal."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen

from p2pacs.dataset.instance import part10_head
from p2pacs.limits import MIB
from scripts.program import ScriptError

SIDE: Final = 512
FRAME_BYTES: Final = SIDE * SIDE * 2
NATIVE_MOST: Final = 0xFFFFFFFE
"""Bytes of native pixel data: their length has 32 bits (PS3.5 7.1.2), and is even."""

_POOL: Final = 16
_BLOCK: Final = 4 * MIB
_ITEM: Final = struct.Struct("<HHL")
_SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.7.3"
"""Multi-frame Grayscale Word Secondary Capture."""
_UIDS: Final = "1.2.826.0.1.3680043.8.498.77"


class Kind(StrEnum):
    """How the pixel data are."""

    NATIVE = "native"
    """Frames of 512 x 512, 16 bit, which compress to less than a half."""
    ENCAPSULATED = "encapsulated"
    """Frames that look compressed (JPEG 2000), with an Extended Offset Table."""
    ONE_FRAME = "one frame"
    """One native frame of all."""
    ONE_FRAGMENT = "one fragment"
    """A video (MPEG-4): one fragment of all."""

    @property
    def transfer_syntax(self) -> str:
        """What it is in."""
        if self is Kind.ENCAPSULATED:
            return "1.2.840.10008.1.2.4.90"
        return "1.2.840.10008.1.2.4.102" if self is Kind.ONE_FRAGMENT else "1.2.840.10008.1.2.1"


@frozen
class HugeFile:
    """A file that was made."""

    path: Path
    study_uid: str
    series_uid: str
    instance_uid: str
    size: int
    """Bytes of its data set."""


def make(path: Path, size: int, kind: Kind) -> HugeFile:
    """Write one with so many bytes of pixel data.

    Raises:
        ScriptError: DICOM cannot say that length.
    """
    count = max(1, size // FRAME_BYTES)
    size = count * FRAME_BYTES
    if size > NATIVE_MOST and kind is not Kind.ENCAPSULATED:
        raise ScriptError("an element has less than 4 GiB (PS3.5 7.1.2): use --encapsulated")
    seed = int.from_bytes(hashlib.sha256(f"{size} {kind}".encode()).digest()[:6], "big")
    uids = [f"{_UIDS}.{seed}.{place}" for place in (1, 2, 3)]
    rows, columns, frames = _geometry(kind, count)
    head = _header(uids, rows, columns, frames)
    with path.open("wb") as file:
        file.write(part10_head(_SOP_CLASS, uids[2], kind.transfer_syntax))
        begin = file.tell()
        file.write(head)
        if kind is Kind.ENCAPSULATED:
            file.writelines(_encapsulated(count))
        elif kind is Kind.ONE_FRAGMENT:
            file.write(_pixels(b"OB", 0xFFFFFFFF) + _ITEM.pack(0xFFFE, 0xE000, 0))
            file.write(_ITEM.pack(0xFFFE, 0xE000, size))
            file.writelines(_incompressible(count))
            file.write(_ITEM.pack(0xFFFE, 0xE0DD, 0))
        else:
            file.write(_pixels(b"OW", size))
            file.writelines(_noisy(count))
        return HugeFile(path, uids[0], uids[1], uids[2], file.tell() - begin)


def data_set_digest(path: Path) -> str:
    """SHA-256 of what follows group 0002 in a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(140)
        (length,) = struct.unpack("<L", file.read(4))
        file.seek(length, 1)
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _geometry(kind: Kind, count: int) -> tuple[int, int, int]:
    if kind is not Kind.ONE_FRAME:
        return SIDE, SIDE, 1 if kind is Kind.ONE_FRAGMENT else count
    columns = SIDE * 64
    if count % 64 or SIDE * count // 64 > 0xFFFF:
        raise ScriptError("one frame has a multiple of 32 MiB, and at most 4 GiB")
    return SIDE * count // 64, columns, 1


def _encapsulated(count: int) -> Iterator[bytes]:
    offsets = np.arange(count, dtype="<u8") * (FRAME_BYTES + _ITEM.size)
    lengths = np.full(count, FRAME_BYTES, dtype="<u8")
    yield _long(0x7FE0, 0x0001, b"OV", offsets.tobytes())
    yield _long(0x7FE0, 0x0002, b"OV", lengths.tobytes())
    yield _pixels(b"OB", 0xFFFFFFFF) + _ITEM.pack(0xFFFE, 0xE000, 0)
    for frame in _incompressible(count):
        yield _ITEM.pack(0xFFFE, 0xE000, len(frame))
        yield frame
    yield _ITEM.pack(0xFFFE, 0xE0DD, 0)


def _incompressible(count: int) -> Iterator[bytes]:
    pool = np.random.default_rng(1).bytes(2 * FRAME_BYTES)
    for number in range(count):
        at = number * 64 % FRAME_BYTES
        yield number.to_bytes(8, "little") + pool[at + 8 : at + FRAME_BYTES]


def _noisy(count: int) -> Iterator[bytes]:
    """Slices of a smooth body with five bits of noise, as a CT has them."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    smooth = 1000 + 400 * np.sin(x / 90) * np.cos(y / 70)
    pool = [
        (smooth + rng.integers(0, 32, (SIDE, SIDE))).astype("<u2").reshape(-1) for _ in range(_POOL)
    ]
    for number in range(count):
        yield np.roll(pool[number % _POOL], number * 37).tobytes()


def _header(uids: list[str], rows: int, columns: int, frames: int) -> bytes:
    study, series, instance = uids
    return b"".join(
        (
            _short(0x0008, 0x0016, b"UI", _uid(_SOP_CLASS)),
            _short(0x0008, 0x0018, b"UI", _uid(instance)),
            _short(0x0008, 0x0020, b"DA", b"20260101"),
            _short(0x0008, 0x0060, b"CS", b"OT"),
            _short(0x0010, 0x0010, b"PN", b"Huge^One"),
            _short(0x0010, 0x0020, b"LO", b"HUGE"),
            _short(0x0020, 0x000D, b"UI", _uid(study)),
            _short(0x0020, 0x000E, b"UI", _uid(series)),
            _short(0x0020, 0x0010, b"SH", b"1 "),
            _short(0x0020, 0x0011, b"IS", b"1 "),
            _short(0x0020, 0x0013, b"IS", b"1 "),
            _short(0x0028, 0x0002, b"US", struct.pack("<H", 1)),
            _short(0x0028, 0x0004, b"CS", b"MONOCHROME2 "),
            _short(0x0028, 0x0008, b"IS", _number(frames)),
            _short(0x0028, 0x0010, b"US", struct.pack("<H", rows)),
            _short(0x0028, 0x0011, b"US", struct.pack("<H", columns)),
            _short(0x0028, 0x0100, b"US", struct.pack("<H", 16)),
            _short(0x0028, 0x0101, b"US", struct.pack("<H", 16)),
            _short(0x0028, 0x0102, b"US", struct.pack("<H", 15)),
            _short(0x0028, 0x0103, b"US", struct.pack("<H", 0)),
        )
    )


def _short(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _long(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sHL", group, element, vr, 0, len(value)) + value


def _pixels(vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sHL", 0x7FE0, 0x0010, vr, 0, length)


def _number(value: int) -> bytes:
    """No wider than it must be: storescu drops further spaces, and what arrives would differ."""
    text = str(value)
    return text.ljust(len(text) + len(text) % 2).encode()


def _uid(uid: str) -> bytes:
    return uid.encode() + bytes(len(uid) % 2)
