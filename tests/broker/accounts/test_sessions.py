from sqlalchemy import Connection, select

from broker.accounts import sessions
from broker.accounts.admins import set_password
from broker.config import WebSettings
from broker.database.schema import sessions as table

WEB = WebSettings.model_validate({"listen": "127.0.0.1:1"})


def test_only_hashes_are_kept_and_sessions_end(connection: Connection) -> None:
    set_password(connection, "admin", "a password of some length")
    token = sessions.start(connection, "admin", WEB)
    other = sessions.start(connection, "admin", WEB)
    session = sessions.find(connection, token, WEB)
    assert session is not None
    assert session.admin == "admin"
    assert session.csrf not in repr(session)
    assert token.encode() not in [row.token_hash for row in connection.execute(select(table))]
    sessions.end(connection, token)
    assert sessions.find(connection, token, WEB) is None
    assert sessions.find(connection, other, WEB) is not None
    sessions.end_all(connection, "admin")
    assert sessions.find(connection, other, WEB) is None


def test_made_up_tokens(connection: Connection) -> None:
    for token in ("", "x", "x" * 1000, "\N{SNOWMAN}"):
        assert sessions.find(connection, token, WEB) is None


def test_a_session_ends_with_its_account(connection: Connection) -> None:
    token = sessions.start(connection, "gone", WEB)
    assert sessions.find(connection, token, WEB) is None


def test_equal() -> None:
    assert sessions.equal("a", "a")
    assert not sessions.equal("a", "b")
    assert not sessions.equal("", "")
