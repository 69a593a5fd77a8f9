from hypothesis import given
from hypothesis import strategies as st

from broker.handlers.tracker import HolderTracker
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.wire.messages.messages import Announce

A, B, C = (VirtualAddress(b"\xfd" + bytes(14) + bytes([number])) for number in range(3))
STUDY, OTHER = StudyId(bytes(16)), StudyId(b"1" * 16)


def news(*, held: bool = True, complete: bool = False, study: StudyId = STUDY) -> Announce:
    return Announce(study.raw, 1, held=held, complete=complete)


def test_who_fetches_hears_of_new_holders_once() -> None:
    holders = HolderTracker()
    assert list(holders.announce(A, news())) == []
    assert list(holders.announce(B, news())) == [A]
    assert list(holders.announce(B, news())) == []
    assert list(holders.announce(B, news(complete=True))) == [A]
    assert list(holders.announce(C, news(complete=True))) == [A]
    assert holders.of(STUDY) == [B, C, A]
    assert holders.of(STUDY, B) == [C, A]


def test_who_drops_or_goes_holds_nothing() -> None:
    holders = HolderTracker()
    holders.announce(A, news(complete=True))
    holders.announce(B, news(complete=True))
    assert list(holders.announce(A, news(held=False))) == []
    assert holders.of(STUDY) == [B]
    holders.gone(B)
    holders.gone(B)
    assert holders.of(STUDY) == []
    assert holders.held_by(A) == holders.held_by(B) == {}.keys()
    assert not holders._studies


def test_which_version_a_member_has_whole() -> None:
    holders = HolderTracker()
    assert holders.whole_version(A, STUDY) == 0
    holders.announce(A, Announce(STUDY.raw, 2, held=True, complete=False))
    assert holders.whole_version(A, STUDY) == 0
    holders.announce(A, Announce(STUDY.raw, 2, held=True, complete=True))
    holders.announce(A, Announce(STUDY.raw, 3, held=True, complete=False))
    assert holders.whole_version(A, STUDY) == 2
    holders.gone(A)
    assert holders.whole_version(A, STUDY) == 0


def test_who_was_granted_a_study_can_be_dialled_until_it_says_what_it_does() -> None:
    holders = HolderTracker()
    holders.granted(A, STUDY)
    assert holders.of(STUDY, B) == [A]
    assert list(holders.announce(B, news())) == []
    holders.announce(C, news(complete=True))
    assert holders.of(STUDY) == [C, B, A]
    assert list(holders.announce(A, news())) == [B], "this one could not know that it is there"
    holders.granted(A, STUDY)
    assert holders.of(STUDY) == [C, A, B]
    holders.granted(A, OTHER)
    holders.granted(B, OTHER)
    holders.gone(A)
    assert holders.of(OTHER) == [B]
    holders.announce(B, news(held=False, study=OTHER))
    assert holders.of(OTHER) == []
    assert not holders._granted


def test_what_was_granted_and_is_never_fetched_is_forgotten() -> None:
    holders = HolderTracker(most=3)
    studies = [StudyId(bytes([number]) * 16) for number in range(5)]
    for study in studies:
        holders.granted(A, study)
    assert [holders.of(study) for study in studies] == [[], [], [A], [A], [A]]


Event = tuple[VirtualAddress, tuple[bytes, bool, bool] | None]
_EVENTS = st.tuples(
    st.sampled_from([A, B, C]),
    st.one_of(
        st.none(),
        st.tuples(st.sampled_from([b"1", b"2"]), st.booleans(), st.booleans()),
    ),
)


@given(st.lists(_EVENTS, max_size=30))
def test_the_two_views_agree(events: list[Event]) -> None:
    holders = HolderTracker()
    expected: dict[tuple[StudyId, VirtualAddress], bool] = {}
    for member, event in events:
        if event is None:
            holders.gone(member)
            expected = {key: whole for key, whole in expected.items() if key[1] != member}
            continue
        name, held, complete = event
        study = StudyId(name * 16)
        told = holders.announce(member, news(held=held, complete=complete, study=study))
        assert member not in told
        if held:
            expected[study, member] = complete
        else:
            expected.pop((study, member), None)
    for name in (b"1", b"2"):
        study = StudyId(name * 16)
        assert set(holders.of(study)) == {member for key, member in expected if key == study}


def test_who_else_holds_all_of_a_study() -> None:
    holders = HolderTracker()
    holders.announce(A, news())
    assert not holders.whole(STUDY, C)
    holders.announce(B, news(complete=True))
    assert holders.whole(STUDY, C)
    assert not holders.whole(STUDY, B), "it asks"
    holders.gone(B)
    assert not holders.whole(STUDY, C)
