import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from p2pacs.errors import CorruptStoreError, DiskFullError, LocalError
from p2pacs.store.files import StudyFiles, failure
from tests.p2pacs.store.samples import OTHER, STUDY


def test_write_and_read(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "chunks")
    files.write(STUDY, 0, [b"abc", b"de"])
    files.write(STUDY, 5, [b"f"])
    assert files.sync({STUDY: 6}) == []
    assert files.read(STUDY, [(3, 2), (0, 3), (5, 1)]) == [b"de", b"abc", b"f"]
    assert [path.name for path in (tmp_path / "chunks").iterdir()] == [f"{STUDY}.chunks"]
    assert files.path(STUDY).stat().st_mode & 0o777 == 0o600
    assert files.path(STUDY).parent.stat().st_mode & 0o777 == 0o700


def test_more_buffers_than_one_system_call_takes(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "chunks")
    buffers = [str(number).encode() for number in range(3000)]
    files.write(STUDY, 0, [bytes(7)])
    files.write(STUDY, 7, buffers)
    assert files.path(STUDY).read_bytes() == bytes(7) + b"".join(buffers)


def test_writes_that_end_early_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwritev

    def some(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        return whole(handle, [buffers[0][:3]], offset)

    monkeypatch.setattr(os, "pwritev", some)
    files = StudyFiles(tmp_path / "chunks")
    files.write(STUDY, 0, [b"abcdefg", b"", b"hi", b"jklm"])
    assert files.path(STUDY).read_bytes() == b"abcdefghijklm"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk(code: int) -> None:
    assert type(failure(OSError(code, "full"))) is DiskFullError


def test_another_failure_of_the_disk() -> None:
    assert type(failure(OSError(errno.EIO, "broken"))) is LocalError


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = StudyFiles(tmp_path / "chunks")
    with pytest.raises(CorruptStoreError, match="No such file"):
        files.read(STUDY, [(0, 1)])
    files.write(STUDY, 0, [b"abc"])
    with pytest.raises(CorruptStoreError, match="too short"):
        files.read(STUDY, [(1, 3)])

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(CorruptStoreError, match="Input/output"):
        files.read(STUDY, [(0, 1)])


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(bytes(9))
    path.symlink_to(path.parent / "elsewhere")


def _short(path: Path) -> None:
    path.write_bytes(b"ab")


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, _link, _short, lambda _: None])
def test_what_stands_in_the_place_of_a_studys_file(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    """It is that study's trouble alone; nothing waits for a pipe's other end."""
    files = StudyFiles(tmp_path / "chunks")
    files.write(OTHER, 0, [b"abc"])
    put(files.path(STUDY))
    with pytest.raises(CorruptStoreError, match="taken away or replaced"):
        files.write(STUDY, 3, [b"def"])
    assert files.sync({OTHER: 3, STUDY: 6}) == [STUDY]
    assert files.mend(STUDY, 3) == (2 if put is _short else 0)
    files.write(STUDY, 0, [b"abc"])
    assert files.sync({OTHER: 3, STUDY: 3}) == []


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, _link])
def test_what_stands_in_the_place_of_notes(tmp_path: Path, put: Callable[[Path], None]) -> None:
    files = StudyFiles(tmp_path / "chunks")
    put(tmp_path / "chunks" / f"{STUDY}.notes")
    assert files.noted(STUDY) == b""
    files.note(STUDY, 2, b"notes")
    assert files.noted(STUDY) == b"\0\0notes"


def test_a_folder_that_is_gone_is_no_study_s_own_trouble(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "chunks")
    files.write(STUDY, 0, [b"abc"])
    (tmp_path / "chunks").rename(tmp_path / "away")
    with pytest.raises(LocalError, match="the store cannot write"):
        files.write(STUDY, 3, [b"def"])
    with pytest.raises(LocalError, match="the store cannot write"):
        files.sync({STUDY: 3})


def test_trim_remove_and_sweep(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "chunks")
    assert files.trim(STUDY, 5) == 0
    for study in (STUDY, OTHER):
        files.write(study, 0, [b"abcdef"])
    assert files.trim(STUDY, 4) == 4
    assert files.trim(STUDY, 9) == 4
    files.sweep([STUDY])
    assert files.path(STUDY).exists()
    assert not files.path(OTHER).exists()
    files.remove(STUDY)
    files.remove(STUDY)
    assert not files.path(STUDY).exists()


def test_what_is_not_the_stores_is_left_alone(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "chunks")
    (tmp_path / "chunks" / "lost+found").mkdir()
    files.note(OTHER, 0, b"of a study that was dropped")
    files.sweep([STUDY])
    assert [path.name for path in (tmp_path / "chunks").iterdir()] == ["lost+found"]
