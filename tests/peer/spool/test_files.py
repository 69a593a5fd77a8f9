"""Files of the spool, and the room that they take."""

from pathlib import Path

import pytest

from p2pacs.errors import DiskFullError, LocalError
from peer.spool.files import SpoolFiles


def test_a_file_is_private_and_its_name_says_nothing(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path / "instances", reserve=0)
    file = files.create()
    file.write(b"one")
    file.write(bytearray(b"two"))
    file.sync()
    file.close()
    assert file.path.read_bytes() == b"onetwo"
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert len(file.path.stem) == 32
    assert not set(file.path.stem) - set("0123456789abcdef")


def test_what_is_discarded_is_gone(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path, reserve=0)
    file = files.create()
    file.write(b"one")
    file.discard()
    assert not list(tmp_path.iterdir())
    files.remove(file.path.name)  # once more is no matter


def test_files_of_which_nobody_was_told_go(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path, reserve=0)
    kept, other = files.create(), files.create()
    for one in (kept, other):
        one.close()
    files.remove_others({kept.path.name, "gone"})
    assert [path.name for path in tmp_path.iterdir()] == [kept.path.name]


def test_room_that_others_are_about_to_take_counts(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path, reserve=1 << 40)
    with pytest.raises(DiskFullError), files.room(1 << 60):
        pass
    free = SpoolFiles(tmp_path, reserve=0)
    with (
        free.room(1000),
        pytest.raises(DiskFullError, match="no room for what is sent here"),
        free.room(1 << 60),
    ):
        pass


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path / "instances", reserve=0)
    (tmp_path / "instances").rmdir()
    with pytest.raises(LocalError):
        files.create()
