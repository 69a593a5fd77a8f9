import os
from pathlib import Path

from p2pacs.store.positioned import PLAIN, read_at, read_held, sync_file, sync_folder, write_at


def test_at_an_offset_whatever_was_done_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | PLAIN)
    assert write_at(handle, [b"de", memoryview(b"f\r\n")], 3) == 5
    assert write_at(handle, [b"abc"], 0) == 3
    assert read_at(handle, 4, 2) == b"cdef"
    assert read_at(handle, 100, 6) == b"\r\n"
    assert read_at(handle, 1, 100) == b""
    os.close(handle)
    sync_file(path)
    sync_folder(tmp_path)
    assert path.read_bytes() == b"abcdef\r\n"


def test_what_is_in_memory_is_read_at_once(tmp_path: Path) -> None:
    handle = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | PLAIN)
    write_at(handle, [b"abcdef"], 0)
    buffer = bytearray(3)
    if read_held(handle, memoryview(buffer), 2):  # not every file system can say
        assert buffer == b"cde"
    assert not read_held(handle, memoryview(buffer), 5)  # there is less
    os.close(handle)
    assert not read_held(handle, memoryview(buffer), 0)
