import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pacs.errors import DiskFullError, LocalError
from p2pacs.files.private_files import (
    check_folder,
    make_private_folder,
    mend_modes,
    new_folder,
    private_umask,
    strangers,
    write_private,
)

OWN = ("key", "store")


@pytest.fixture(autouse=True)
def careless_umask() -> Iterator[None]:
    """What is made has the modes that it is made with."""
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_private_files_are_their_owners(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert make_private_folder(folder) == [tmp_path / "a", folder]
    assert make_private_folder(folder) == []
    write_private(folder / "key", b"one")
    write_private(folder / "key", b"two")
    assert (folder / "key").read_bytes() == b"two"
    assert [_mode(path) for path in (tmp_path / "a", folder, folder / "key")] == [
        0o700,
        0o700,
        0o600,
    ]
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_a_failed_write_leaves_the_old_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(tmp_path / "key", b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError, match=f"cannot write {tmp_path / 'key'}: the disk is full"):
        write_private(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_what_others_make_in_the_block_is_private_too(tmp_path: Path) -> None:
    with private_umask():
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()
    (tmp_path / "after").touch()
    modes = [_mode(tmp_path / name) for name in ("folder", "file", "after")]
    assert modes == [0o700, 0o600, 0o666]


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        for use in (make_private_folder, check_folder):
            with pytest.raises(LocalError, match=f"cannot make the folder {folder}: "):
                use(folder)
    with pytest.raises(LocalError, match="cannot read the folder"):
        strangers(tmp_path / "file", ())
    assert (tmp_path / "file").is_file()


def test_a_folder_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- what fails leaves no trace


class BlockError(Exception):
    """The block's."""


def _fill_and_fail(folder: Path, *names: str, keep: bool = False) -> None:
    """A block that puts files into its new folder, and fails."""
    with new_folder(folder, keep=keep):
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        raise BlockError


def test_a_new_folder_stays_if_the_block_ends_well(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a"):
        (tmp_path / "a" / "key").touch()
    assert (tmp_path / "a" / "key").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_new_folder_goes_with_all_that_the_block_put_there(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "a" / "b"
    if there:
        folder.mkdir(parents=True)
    with pytest.raises(BlockError):
        _fill_and_fail(folder, "keys/key", "key")
    assert folder.exists() is there
    assert list(tmp_path.rglob("*")) == ([tmp_path / "a", folder] if there else [])


def test_what_was_in_a_folder_before_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    with pytest.raises(BlockError):
        _fill_and_fail(tmp_path, "key")
    assert {path.name for path in tmp_path.iterdir()} == {"letter", "key"}


@pytest.mark.parametrize("written", [["00001.dcm"], []])
def test_what_was_got_stays_but_no_empty_folder_does(tmp_path: Path, written: list[str]) -> None:
    with pytest.raises(BlockError):
        _fill_and_fail(tmp_path / "a", *written, keep=True)
    assert [path.name for path in tmp_path.rglob("*.dcm")] == written
    assert (tmp_path / "a").exists() is bool(written)


# ---------------------------------------------------------------- what was there already


def test_what_is_open_is_closed(tmp_path: Path) -> None:
    other_disk = tmp_path / "disk"
    folder = tmp_path / "peer"
    for one in (other_disk / "studies", folder / "keys"):
        one.mkdir(parents=True)
    (folder / "store").symlink_to(other_disk)
    for one in (other_disk / "studies" / "a", folder / "keys" / "b", folder / "key.pem"):
        one.touch()
    (folder / ".key.part").touch()
    (folder / "keys" / "b").chmod(0o740)
    assert mend_modes(folder, OWN).closed == 8
    for path in (folder, *folder.rglob("*"), other_disk, *other_disk.rglob("*")):
        assert _mode(path) & 0o077 == 0, path
    assert _mode(folder / "keys" / "b") == 0o700
    again = mend_modes(folder, OWN)
    assert (again.closed, again.left) == (0, ())


def test_what_is_none_of_the_programs_stays_as_it_is(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "peer", tmp_path / "elsewhere"
    (folder / "store").mkdir(parents=True)
    elsewhere.touch()
    (folder / "letter").touch()
    (folder / "store" / "link").symlink_to(elsewhere)
    assert strangers(folder, OWN) == ["letter"]
    mend_modes(folder, OWN)
    assert (_mode(folder / "letter"), _mode(elsewhere)) == (0o666, 0o666)


def test_what_cannot_be_closed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").touch()
    tmp_path.chmod(0o700)

    def refused(_path: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    mended = mend_modes(tmp_path, OWN)
    assert (mended.closed, mended.left) == (0, (tmp_path / "key",))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot read the folder"):
        mend_modes(tmp_path / "nothing", OWN)
    assert strangers(tmp_path / "nothing", OWN) == []
