import pytest
from sqlalchemy import Connection, select

from p2pacs.accounts import sessions
from p2pacs.accounts.people import add_account
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.tables import sessions as table
from tests.p2pacs.accounts.conftest import CHEAP

MINUTE = 60_000
OPEN = Sessions(idle=15 * MINUTE, longest=8 * 60 * MINUTE, clock=lambda: 0)


def test_only_hashes_are_kept_and_sessions_end(connection: Connection) -> None:
    add_account(connection, "admin", "a password of some length", "administrator", CHEAP)
    token, other = OPEN.start(connection, "admin"), OPEN.start(connection, "admin")
    session = OPEN.find(connection, token)
    assert session is not None
    assert session.account == "admin"
    assert session.csrf not in repr(session)
    assert token.encode() not in [row.token_hash for row in connection.execute(select(table))]
    sessions.end(connection, token)
    assert OPEN.find(connection, token) is None
    assert OPEN.find(connection, other) is not None
    sessions.end_all(connection, "admin")
    assert OPEN.find(connection, other) is None


def test_a_session_has_the_rights_of_its_role(connection: Connection) -> None:
    rights = {"auditor": frozenset({"see"})}
    some = Sessions(OPEN.idle, OPEN.longest, rights, clock=lambda: 0)
    add_account(connection, "rev", "a password of some length", "auditor", CHEAP)
    session = some.find(connection, some.start(connection, "rev", "10.0.0.1"))
    assert session is not None
    assert session.role == "auditor"
    assert session.may("see")
    assert not session.may("change")


def test_a_look_is_no_use(connection: Connection) -> None:
    add_account(connection, "admin", "a password of some length", "administrator", CHEAP)
    token = OPEN.start(connection, "admin")
    for minutes, use in ((14, False), (14, True), (20, False), (28, False)):
        at = Sessions(OPEN.idle, OPEN.longest, clock=lambda m=minutes: m * MINUTE)
        assert at.find(connection, token, use=use) is not None
    late = Sessions(OPEN.idle, OPEN.longest, clock=lambda: 30 * MINUTE)
    assert late.find(connection, token, use=False) is None


@pytest.mark.parametrize(("minutes", "signed_in"), [(14, True), (16, False)])
def test_an_idle_session_ends(connection: Connection, minutes: int, signed_in: bool) -> None:
    add_account(connection, "admin", "a password of some length", "administrator", CHEAP)
    token = OPEN.start(connection, "admin")
    later = Sessions(OPEN.idle, OPEN.longest, clock=lambda: minutes * MINUTE)
    assert (later.find(connection, token) is not None) is signed_in


def test_a_session_in_use_ends_in_the_end(connection: Connection) -> None:
    add_account(connection, "admin", "a password of some length", "administrator", CHEAP)
    token = OPEN.start(connection, "admin")
    for minutes in range(10, 8 * 60, 10):
        later = Sessions(OPEN.idle, OPEN.longest, clock=lambda at=minutes: at * MINUTE)
        assert later.find(connection, token) is not None
    late = Sessions(OPEN.idle, OPEN.longest, clock=lambda: 8 * 60 * MINUTE)
    assert late.find(connection, token) is None


def test_made_up_tokens(connection: Connection) -> None:
    for token in ("", "x", "x" * 1000, "\N{SNOWMAN}"):
        assert OPEN.find(connection, token) is None


def test_a_session_ends_with_its_account(connection: Connection) -> None:
    token = OPEN.start(connection, "gone")
    assert OPEN.find(connection, token) is None


def test_equal() -> None:
    assert sessions.equal("a", "a")
    assert not sessions.equal("a", "b")
    assert not sessions.equal("", "")
