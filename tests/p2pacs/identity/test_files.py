from pathlib import Path

import pytest

from p2pacs.errors import StateError
from p2pacs.identity import files
from p2pacs.identity.keys import Secret


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
