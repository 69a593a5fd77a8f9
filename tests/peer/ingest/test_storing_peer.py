"""DCMTK's storescu sends an instance of 200 MB: little of it is in memory, ever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from p2pacs.limits import MIB
from tests.components import HOST, dcmtk
from tests.conformance.instances import make

UID = "1.2.1"
FRAMES = 100
BOUND = 96 * MIB

pytestmark = [pytest.mark.system, pytest.mark.dcmtk]


@contextmanager
def storing_peer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.peer.ingest.storing_peer", str(folder), UID]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def volume(path: Path, *, encapsulated: bool) -> int:
    """Write an enhanced-like image of `FRAMES` frames of 2 MiB; the bytes of its data set."""
    one = make(UID, size=1024, NumberOfFrames=str(FRAMES))
    at = one.data.index(b"\xe0\x7f\x10\x00")
    frame = one.data[at + 12 :]
    with path.open("wb") as file:
        file.write(
            one.part10_head()
            if not encapsulated
            else one.part10_head().replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.5\x00")
        )
        file.write(one.data[:at])
        if encapsulated:
            file.write(b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff" + _item(b"", 0xE000))
        else:
            length = FRAMES * len(frame)
            file.write(one.data[at : at + 8] + length.to_bytes(4, "little"))
        for number in range(FRAMES):
            changed = number.to_bytes(2, "little") + frame[2:]
            file.write(_item(changed, 0xE000) if encapsulated else changed)
        if encapsulated:
            file.write(_item(b"", 0xE0DD))
        return file.tell() - len(one.part10_head())


def _item(value: bytes, element: int) -> bytes:
    tag = (0xFFFE).to_bytes(2, "little") + element.to_bytes(2, "little")
    return tag + len(value).to_bytes(4, "little") + value


@pytest.mark.parametrize("encapsulated", [False, True])
def test_memory_is_bounded_however_large_an_instance_is(
    tmp_path: Path, *, encapsulated: bool
) -> None:
    path = tmp_path / "volume.dcm"
    size = volume(path, encapsulated=encapsulated)
    with storing_peer(tmp_path / "peer") as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        options = ["-xr"] if encapsulated else ["-xe"]
        done = dcmtk("storescu", *options, "-aec", "PEER", HOST, port, str(path), timeout=300)
        assert done.returncode == 0, done.stdout
        received, published = map(int, process.stdout.readline().split())
    assert size > 2 * BOUND
    assert received < BOUND / 2
    assert published < BOUND
