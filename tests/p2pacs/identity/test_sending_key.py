from pathlib import Path

import pytest

from p2pacs.errors import StateError
from p2pacs.identity.sending_key import load_sending_key


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    key = load_sending_key(tmp_path)
    assert load_sending_key(tmp_path).public == key.public
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_damaged_one_is_said_to_be(tmp_path: Path) -> None:
    load_sending_key(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text("abc")
    with pytest.raises(StateError, match="damaged"):
        load_sending_key(tmp_path)
    file.write_text("abcd")
    with pytest.raises(StateError, match="damaged"):
        load_sending_key(tmp_path)
