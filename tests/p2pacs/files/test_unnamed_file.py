"""Files without a name."""

from pathlib import Path

import pytest

from p2pacs.errors import CorruptStoreError, LocalError
from p2pacs.files.unnamed_file import UnnamedFile


def test_what_was_written_is_read_anywhere_and_nothing_is_in_the_folder(tmp_path: Path) -> None:
    file = UnnamedFile(tmp_path)
    file.write(b"one")
    file.write(b"two")
    assert not list(tmp_path.iterdir())
    assert file.read(0, 6) == b"onetwo"
    assert file.read(2, 4) == b"et"
    with pytest.raises(CorruptStoreError, match="cut off"):
        file.read(4, 7)
    file.close()


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot make a file"):
        UnnamedFile(tmp_path / "gone")
