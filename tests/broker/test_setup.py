from pathlib import Path

import pytest

from broker.config import SIGNING_KEY
from broker.setup import describe, found, load_keys
from p2pacs.errors import StateError, UsageError
from p2pacs.identity.keys import SigningKey
from tests.broker.pages.conftest import PASSWORD, settings


def test_what_is_founded_loads_again(tmp_path: Path) -> None:
    made = found(tmp_path / "b", settings(), network="a network", admin="admin", password=PASSWORD)
    loaded = load_keys(tmp_path / "b")
    assert loaded.identity.address == made.identity.address
    assert loaded.identity.box_key.secret == made.identity.box_key.secret
    assert loaded.study_secret == made.study_secret
    assert isinstance(loaded.signing, SigningKey)
    assert loaded.signing.public == loaded.identity.broker_key
    assert loaded.identity.address == loaded.identity.broker
    assert describe(loaded, settings())["prefix"].endswith("::/48")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    found(tmp_path / "b", settings(), network="a network", admin="admin", password=PASSWORD)
    (tmp_path / "b" / SIGNING_KEY).unlink()
    with pytest.raises(StateError, match="signing key is missing"):
        load_keys(tmp_path / "b")


def test_what_cannot_be_made_whole_leaves_nothing(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    for folder in (there, tmp_path / "far" / "b"):
        for network in ("n" * 500, "", "  ", "clears\x1b[2J"):
            with pytest.raises(UsageError, match="a name has"):
                found(folder, settings(), network=network, admin="admin", password=PASSWORD)
    assert list(tmp_path.rglob("*")) == [there]
