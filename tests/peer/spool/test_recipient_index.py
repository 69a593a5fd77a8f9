from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.spool.index import SpoolIndex
from peer.spool.recipient_index import CopyState, RecipientIndex, told_of
from peer.spool.recipient_rules import Recipients

UID = "1.2.3"
SOUTH, EAST = (VirtualAddress(b"\xfd" + bytes(14) + bytes([one])) for one in (1, 2))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RecipientIndex]:
    with closing(SpoolIndex(tmp_path / "index.sqlite")) as opened:
        yield opened.recipients


def test_to_whom_a_study_goes_is_kept_until_somebody_says_otherwise(index: RecipientIndex) -> None:
    assert index.find(UID) is None
    said = Recipients(("South", "Ö|\n"), Priority.STAT)
    index.put(UID, said, by_rule=True)
    index.told(UID, b"x")
    found = index.find(UID)
    assert found is not None
    assert (found.recipients, found.by_rule, found.told) == (said, True, b"x")
    index.put(UID, Recipients(), by_rule=False)
    found = index.find(UID)
    assert found is not None
    assert (found.recipients, found.by_rule, found.told) == (Recipients(), False, b"x")
    assert index.list_waited_for() == [UID]
    index.over(UID)
    assert index.list_waited_for() == []
    index.put(UID, said, by_rule=False)
    assert index.list_waited_for() == [UID]


def test_what_the_broker_was_told_tells_who_and_how_urgent() -> None:
    assert told_of(Priority.STAT, [EAST, SOUTH]) == told_of(Priority.STAT, [SOUTH, EAST])
    told = {
        told_of(priority, some)
        for priority in Priority
        for some in ([], [SOUTH], [EAST], [SOUTH, EAST])
    }
    assert len(told) == 4 * len(Priority)


def test_who_had_a_version_had_it_though_it_is_away_now(index: RecipientIndex) -> None:
    index.note(UID, [CopyState(SOUTH, 2, 1000, 1), CopyState(EAST, 0, 500, 1)])
    index.note(UID, [CopyState(SOUTH, 0, 0, 2), CopyState(EAST, 0, 700, 2)])
    assert index.copies(UID) == [CopyState(SOUTH, 2, 1000, 1), CopyState(EAST, 0, 700, 2)]
    index.note(UID, [CopyState(EAST, 2, 1000, 3)])
    assert index.copies(UID) == [CopyState(EAST, 2, 1000, 3)]
    index.note(UID, [])
    assert index.copies(UID) == index.copies("1.2.4") == []
