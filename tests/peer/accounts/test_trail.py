from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from p2pacs.accounts.sign_in import SignInOutcome
from p2pacs.limits import TEXT
from peer.accounts.trail import MOST, note, note_sign_in, read_trail
from peer.db import PeerDatabase, connect, trail


@pytest.fixture
def database(tmp_path: Path) -> Iterator[PeerDatabase]:
    database = connect(tmp_path / "peer.db")
    yield database
    database.close()


def test_what_was_done_newest_first(database: PeerDatabase) -> None:
    database.transact(lambda c: note(c, "anna", "account added", "rita: radiologist"))
    database.transact(lambda c: note_sign_in(c, SignInOutcome("rita", "10.0.0.1", 1)))
    database.transact(lambda c: note_sign_in(c, SignInOutcome("rita", "10.0.0.1", 0)))
    entries = database.transact(lambda c: read_trail(c, 10))
    assert [(one.actor, one.what, one.detail, one.refused) for one in entries] == [
        ("rita", "sign-in", "from 10.0.0.1", False),
        ("rita", "sign-in", "from 10.0.0.1: wrong name or password", True),
        ("anna", "account added", "rita: radiologist", False),
    ]
    assert len(database.transact(lambda c: read_trail(c, 2))) == 2


def test_the_oldest_goes(database: PeerDatabase) -> None:
    def fill(connection: Connection) -> None:
        row = {"time": 0, "actor": "-", "detail": "", "refused": False}
        connection.execute(insert(trail), [row | {"what": str(n)} for n in range(MOST)])

    database.transact(fill)
    for number in (MOST, MOST + 1):
        database.transact(lambda c, n=number: note(c, "-", str(n)))
    kept = [one.what for one in database.transact(lambda c: read_trail(c, 2 * MOST))]
    assert kept == [str(number) for number in range(MOST + 1, 1, -1)]


def test_texts_are_bounded_and_shown_without_tricks(database: PeerDatabase) -> None:
    database.transact(lambda c: note(c, "a\x1b[31m", "sign-in", "x" * 3 * TEXT))
    (entry,) = database.transact(lambda c: read_trail(c, 10))
    assert "\x1b" not in entry.actor
    assert len(entry.detail) == TEXT
