from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from p2pacs.ids import VirtualAddress
from peer.ingest.intake import take
from peer.spool.recipient_index import CopyState
from peer.spool.recipient_rules import Recipients
from peer.spool.spool import Spool
from tests.conformance.instances import make

UID, OTHER = "1.2.1", "1.2.2"
EVER = 2**62


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, reserve=0)) as spool:
        yield spool


def sent(spool: Spool, uid: str, number: int = 1) -> int:
    """A study of one more instance that is home; when its last one came."""
    take(spool, make(uid, number=number), "CT1")
    found = spool.index.study(uid)
    assert found is not None
    spool.index.all_out(uid, found.newest)
    spool.home(uid, found.newest)
    return found.latest


def test_what_has_long_been_home_is_forgotten(spool: Spool) -> None:
    latest = sent(spool, UID)
    assert spool.index.forget_old(latest) == 0, "not that long"
    index = spool.index.recipients
    index.put(UID, Recipients(("South",)), by_rule=False)
    index.note(UID, [CopyState(VirtualAddress(b"\xfd" + bytes(15)), 1, 1000, 1)])
    assert spool.index.forget_old(EVER) == 0, "South is waited for"
    index.over(UID)
    assert spool.index.forget_old(EVER) == 1
    assert not spool.index.list_studies()
    assert not spool.index.find_progress([make(UID).sop_instance_uid])
    assert index.find(UID) is None
    assert not index.copies(UID)
    sent(spool, UID)  # what is sent again comes like any other, under a number of its own
    assert [one.number for one in spool.index.list_studies()] == [2]


def test_what_is_not_over_is_kept(spool: Spool) -> None:
    sent(spool, UID)
    take(spool, make(UID, number=2), "CT1")  # more came
    take(spool, make(OTHER), "CT1")
    spool.index.cancel(OTHER, "anna")
    assert spool.index.forget_old(EVER) == 0
    spool.remove(OTHER)  # and the broker was not told yet
    sent(spool, OTHER)
    assert spool.index.forget_old(EVER) == 0
    spool.index.cancellation_over(OTHER)
    assert spool.index.forget_old(EVER) == 1
    take(spool, make(UID, number=2, name="Other^Name"), "CT1")  # kept beside
    sent(spool, UID, 3)
    assert spool.index.forget_old(EVER) == 0
    assert len(spool.index.list_studies()) == 1
