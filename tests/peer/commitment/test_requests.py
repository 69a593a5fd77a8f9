import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from p2pacs.dimse.commitment import CommitmentRequest, Reference
from p2pacs.errors import BusyError, UsageError
from p2pacs.limits import COMMITMENTS, COMMITMENTS_OF_ONE
from peer.commitment.requests import (
    RequestKey,
    drop_request,
    find_request,
    keep_request,
    list_requests,
)
from peer.db import PeerDatabase, connect

CT = "1.2.840.10008.5.1.4.1.1.2"
ONE, TWO = Reference(CT, "1.2.3"), Reference(CT, "1.2.4")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[PeerDatabase]:
    with closing(connect(tmp_path / "peer.db")) as opened:
        yield opened


def keep(
    database: PeerDatabase, transaction: str, *references: Reference, caller: str = "CT1"
) -> None:
    request = CommitmentRequest(transaction, references or (ONE,))
    database.transact(partial(keep_request, request=request, caller=caller, now=7))


def test_a_request_waits_until_it_is_dropped(database: PeerDatabase) -> None:
    keep(database, "1.9", ONE, TWO)
    key = RequestKey("CT1", "1.9")
    assert database.transact(list_requests) == [key]
    found = database.transact(partial(find_request, key=key))
    assert found is not None
    assert (found.key, found.asked, found.references) == (key, 7, (ONE, TWO))
    database.transact(partial(drop_request, key=key))
    assert database.transact(partial(find_request, key=key)) is None
    assert database.transact(list_requests) == []


def test_the_same_request_again_is_the_same_and_another_one_is_refused(
    database: PeerDatabase,
) -> None:
    keep(database, "1.9", ONE)
    keep(database, "1.9", ONE)
    with pytest.raises(UsageError, match="in use"):
        keep(database, "1.9", TWO)
    keep(database, "1.9", TWO, caller="CT2")  # another's are its own
    assert len(database.transact(list_requests)) == 2


def test_a_flood_of_one_caller_keeps_no_other_out(database: PeerDatabase) -> None:
    def flood(caller: str, count: int) -> None:
        with database.writing() as connection:
            for number in range(count):
                request = CommitmentRequest(f"1.9.{number}", (ONE,))
                keep_request(connection, request, caller, 7)

    flood("CT1", COMMITMENTS_OF_ONE)
    with pytest.raises(BusyError, match="too many"):
        keep(database, "1.8")
    keep(database, "1.9.0")  # it waits already
    for number in range(2, COMMITMENTS // COMMITMENTS_OF_ONE + 1):
        flood(f"CT{number}", COMMITMENTS_OF_ONE)
    with pytest.raises(BusyError, match="too many"):
        keep(database, "1.8", caller="CT9")


def test_a_database_of_the_version_before_takes_requests(tmp_path: Path) -> None:
    path = tmp_path / "peer.db"
    with closing(connect(path)):
        pass
    with closing(sqlite3.connect(path)) as before:  # filled, and without the table
        before.execute("DROP TABLE commitments")
        before.execute("INSERT INTO grants VALUES (x'01', x'02')")
        before.commit()
    with closing(connect(path)) as database:
        keep(database, "1.9")
        assert len(database.transact(list_requests)) == 1
        with database.reading() as connection:
            grants = connection.exec_driver_sql("SELECT count(*) FROM grants").scalar_one()
        assert grants == 1
