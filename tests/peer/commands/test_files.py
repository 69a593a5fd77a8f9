from pathlib import Path

import pytest

from p2pacs.errors import DiskFullError, LocalError
from peer.commands.files import make_folder, replace


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

    def refused(temporary: Path, _data: bytes) -> int:
        temporary.touch()
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "write_bytes", refused)
    with pytest.raises(kind, match="run the command again"):
        replace(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_folders(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "b")
