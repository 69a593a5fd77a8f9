from sqlalchemy import Connection

from broker.ingest.sent import (
    begin_sending,
    cancel_sending,
    find_sent,
    list_cancelled,
    list_sending,
    note_came,
    note_stored,
    note_version,
)
from p2pacs.ids import StudyId, VirtualAddress

STUDY, OTHER = StudyId(bytes(16)), StudyId(bytes(15) + b"\x01")
MEMBER = VirtualAddress(b"\xfd" + bytes(15))


def test_a_study_is_sent_until_its_last_version_is_stored(connection: Connection) -> None:
    assert find_sent(connection, STUDY) is None
    assert begin_sending(connection, STUDY, "1.2.1", MEMBER)
    assert not begin_sending(connection, STUDY, "1.2.1", MEMBER)
    note_version(connection, STUDY, 3, complete=False)
    assert not note_stored(connection, STUDY, 3)  # more may come
    note_version(connection, STUDY, 4, complete=True)
    assert not note_stored(connection, STUDY, 3)
    (one,) = list_sending(connection)
    assert (one.study, one.uid, one.member, one.stored) == (STUDY, "1.2.1", MEMBER, 3)
    assert note_stored(connection, STUDY, 4)
    assert not list_sending(connection)
    assert find_sent(connection, OTHER) is None
    assert not note_stored(connection, OTHER, 1)


def test_what_comes_late_is_sent_again(connection: Connection) -> None:
    begin_sending(connection, STUDY, "1.2.1", MEMBER)
    note_version(connection, STUDY, 1, complete=True)
    assert note_stored(connection, STUDY, 1)
    assert begin_sending(connection, STUDY, "1.2.1", MEMBER)
    (one,) = list_sending(connection)
    assert (one.version, one.stored, one.complete) == (1, 0, False), "the PACS is looked at anew"


def test_what_is_cancelled_is_so_until_it_is_sent_again(connection: Connection) -> None:
    begin_sending(connection, STUDY, "1.2.1", MEMBER)
    note_version(connection, STUDY, 1, complete=True)
    cancel_sending(connection, STUDY, 7)
    assert not list_sending(connection)
    (one,) = list_cancelled(connection)
    assert (one.study, one.instances, one.came) == (STUDY, 7, None)
    assert not note_stored(connection, STUDY, 1), "what was on its way ends no cancellation"
    assert note_came(connection, STUDY, 3)
    assert not list_cancelled(connection)
    assert begin_sending(connection, STUDY, "1.2.1", MEMBER)
    assert not note_came(connection, STUDY, 4)
    (one,) = list_sending(connection)
    assert (one.cancelled, one.came) == (None, None)
