from pathlib import Path

import pytest

from p2pacs.errors import StateError
from p2pacs.identity import files
from p2pacs.identity.keys import Secret


def test_private_files_are_their_owners(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    files.make_private_folder(folder)
    files.write_private(folder / "key", b"one")
    files.write_private(folder / "key", b"two")
    assert (folder / "key").read_bytes() == b"two"
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_a_failed_write_leaves_the_old_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_private(tmp_path / "key", b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_private(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_secrets_are_kept(tmp_path: Path) -> None:
    files.write_secret(tmp_path / "key", Secret(b"\x00\xff"))
    assert (tmp_path / "key").read_text() == "00ff\n"
    assert files.read_secret(tmp_path / "key", "the key") == Secret(b"\x00\xff")


@pytest.mark.parametrize("content", [None, b"xyz", b"\xff\xff"])
def test_missing_and_damaged_secrets_are_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(StateError, match="the box key"):
        files.read_secret(tmp_path / "key", "the box key")
