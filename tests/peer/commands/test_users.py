import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pacs.accounts.people import list_accounts, stored_hash
from p2pacs.accounts.second_factor import enable, has_second_factor
from p2pacs.accounts.sessions import Sessions
from p2pacs.errors import NotFoundError, StateError, UsageError
from p2pacs.front import main
from peer.accounts.trail import read_trail
from peer.config import PEER_DB, PeerSettings, save_peer_settings
from peer.db import PeerDatabase, connect
from tests.p2pacs.pages.browser import PASSWORD


class Users:
    """``p2pacs peer user`` in one folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self._secret = folder / "password"
        self._secret.write_text(PASSWORD + "\n")
        settings = PeerSettings.model_validate({"name": "a", "listen": ["127.0.0.1:4711"]})
        save_peer_settings(folder, settings)

    def __call__(self, what: str, *arguments: object, code: int = 0) -> str:
        """What it says; on standard error, where it refuses."""
        secret = ["--password-file", self._secret] if what in ("add", "password") else []
        with pytest.raises(SystemExit) as end:
            main([str(one) for one in ("peer", "user", what, self.folder, *arguments, *secret)])
        said = self._capsys.readouterr()
        assert (end.value.code or 0) == code, said.err
        return said.err if code else said.out


@pytest.fixture
def users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Users:
    return Users(tmp_path, capsys)


@pytest.fixture
def database(users: Users) -> Iterator[PeerDatabase]:
    """As the running peer has it open."""
    database = connect(users.folder / PEER_DB)
    yield database
    database.close()


def test_people_come_and_go(users: Users, database: PeerDatabase) -> None:
    assert "sign in as radiologist" in users("add", "rita", "--role", "radiologist")
    users("add", "anna", "--role", "administrator")
    assert users("list") == (
        "Name\tRole\tSecond factor\nanna\tadministrator\tno\nrita\tradiologist\tno\n"
    )
    assert "already" in users("add", "rita", "--role", "operator", code=StateError.exit_code)
    users("role", "rita", "operator")
    assert json.loads(users("list", "--json")) == {
        "users": [
            {"name": "anna", "role": "administrator", "second_factor": False},
            {"name": "rita", "role": "operator", "second_factor": False},
        ]
    }
    users("remove", "rita", "--yes")
    users("remove", "rita", "--yes", code=NotFoundError.exit_code)
    only = users("remove", "anna", "--yes", code=StateError.exit_code)
    assert "add another one first" in only
    assert [one.name for one in database.transact(list_accounts)] == ["anna"]
    entries = database.transact(lambda c: read_trail(c, 10))
    assert [(one.actor, one.what, one.detail) for one in reversed(entries)] == [
        ("command line", "account added", "rita: radiologist"),
        ("command line", "account added", "anna: administrator"),
        ("command line", "role set", "rita: operator"),
        ("command line", "account removed", "rita"),
    ]


def test_a_new_password_signs_out_at_a_running_peer(users: Users, database: PeerDatabase) -> None:
    users("add", "anna", "--role", "administrator")
    before = database.transact(lambda c: stored_hash(c, "anna"))
    sessions = Sessions(60_000, 60_000)
    token = database.transact(lambda c: sessions.start(c, "anna"))
    assert "signed out everywhere" in users("password", "anna")
    assert database.transact(lambda c: sessions.find(c, token)) is None
    assert database.transact(lambda c: stored_hash(c, "anna")) != before
    users("password", "nobody", code=NotFoundError.exit_code)


def test_who_has_lost_the_phone(users: Users, database: PeerDatabase) -> None:
    users("add", "anna", "--role", "administrator")
    users("reset-second-factor", "anna", code=StateError.exit_code)
    database.transact(lambda c: enable(c, "anna", bytes(20), 0))
    assert users("list").endswith("anna\tadministrator\tyes\n")
    assert "password alone" in users("reset-second-factor", "anna")
    assert not database.transact(lambda c: has_second_factor(c, "anna"))
    users("reset-second-factor", "nobody", code=NotFoundError.exit_code)


def test_what_cannot_be(users: Users, database: PeerDatabase) -> None:
    assert "radiologist" in users("add", "x", "--role", "boss", code=UsageError.exit_code)
    users("add", "x" * 65, "--role", "operator", code=UsageError.exit_code)
    (users.folder / "password").write_text("short")
    said = users("add", "x", "--role", "operator", code=UsageError.exit_code)
    assert "12 to" in said
    users("role", "x", "operator", code=NotFoundError.exit_code)
    assert database.transact(list_accounts) == []
    assert users("list") == ""


def test_nothing_is_made_where_no_peer_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["peer", "user", "list", str(tmp_path / "nowhere")])
    assert end.value.code == StateError.exit_code
    assert not (tmp_path / "nowhere").exists()


def test_the_database_is_private(users: Users) -> None:
    users("add", "anna", "--role", "administrator")
    assert stat.S_IMODE((users.folder / PEER_DB).stat().st_mode) == 0o600
