import os
from pathlib import Path

import pytest

from p2pacs.errors import DiskFullError, LocalError
from peer.commands.get.files import replace


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "one"
    for data in (b"first", b"second"):
        replace(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind"), [(28, DiskFullError), (122, DiskFullError), (5, LocalError)]
)
def test_what_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    path = tmp_path / "one"
    replace(path, b"first")

    def refused(_temporary: Path, _target: Path) -> Path:
        raise OSError(number, "no")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refused)
        with pytest.raises(kind, match=f"cannot write to {tmp_path}"):
            replace(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_its_owners_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        replace(tmp_path / "one", b"an image")
    finally:
        os.umask(before)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
