from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.offers import TUNING as OFFERS
from p2pacs.swarm.scheduling.offers import Offers, OffersTuning, OfferTarget

A, B, C = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2, 3))
CT, MR = StudyId(bytes(16)), StudyId(bytes(15) + b"\1")


def target(
    member: VirtualAddress = A,
    study: StudyId = CT,
    *,
    priority: int = 2,
    completeness: float = 0.0,
    useful: int = 9,
    gives: bool = False,
) -> OfferTarget:
    return OfferTarget(member, study, priority, completeness, useful, gives)


def itself(target: OfferTarget) -> OfferTarget:
    return target


def targets_of(count: int) -> st.SearchStrategy[list[OfferTarget]]:
    drawn = st.builds(
        target,
        st.sampled_from((A, B, C)),
        st.sampled_from((CT, MR)),
        priority=st.integers(0, 3),
        completeness=st.floats(0, 1),
        useful=st.integers(-2, 9),
    )
    return st.lists(drawn, max_size=count, unique_by=lambda one: (one.member, one.study))


# ---------------------------------------------------------------- whose turn it is


def test_nobody_wants_anything() -> None:
    offers = Offers(b"")
    assert offers.choose([], 0.0, itself) is None
    assert offers.choose([target(useful=0), target(B, useful=-1)], 0.0, itself) is None
    assert offers.next_change(0.0) is None


@given(st.floats(0.0001, 1), st.binary(max_size=4))
def test_who_has_nothing_to_give_comes_first(completeness: float, seed: bytes) -> None:
    offers = Offers(seed)
    begun, empty = target(A, completeness=completeness), target(B)
    offers.made(empty, 1, 0.0)  # though it had its turn last
    offers.answered(B, CT, 1, 0.0)
    assert offers.choose([begun, empty], 0.0, itself) == empty


@given(targets_of(6), st.binary(max_size=4))
def test_the_most_urgent_class_alone_is_served(targets: list[OfferTarget], seed: bytes) -> None:
    chosen = Offers(seed).choose(targets, 0.0, itself)
    useful = [one for one in targets if one.useful > 0]
    if chosen is None:
        assert useful == []
    else:
        assert chosen in useful
        assert chosen.priority == max(one.priority for one in useful)


@given(st.floats(0, 1), st.floats(0, 1), st.binary(max_size=4))
def test_of_two_the_less_complete_is_served(one: float, other: float, seed: bytes) -> None:
    targets = [target(A, completeness=one), target(B, completeness=other)]
    chosen = Offers(seed).choose(targets, 0.0, itself)
    assert chosen is not None
    assert int(chosen.completeness * OFFERS.classes) == min(
        int(one * OFFERS.classes), int(other * OFFERS.classes)
    )


@given(st.binary(max_size=4), st.integers(1, OFFERS.classes - 2))
def test_who_gives_comes_before_equals(seed: bytes, step: int) -> None:
    others = [target(member, completeness=(step + 0.5) / OFFERS.classes) for member in (A, B)]
    for ahead, comes in ((0, True), (OFFERS.returned, False)):
        giver = target(C, completeness=(step + ahead + 0.5) / OFFERS.classes, gives=True)
        offers = Offers(seed)
        offers.made(giver, 1, 0.0)  # it had its turn last
        offers.answered(C, CT, 1, 0.0)
        assert (offers.choose([*others, giver], 0.0, itself) == giver) is comes
    newcomer = target(B)
    assert Offers(seed).choose([newcomer, giver], 0.0, itself) == newcomer


def test_who_wanted_nothing_may_want_what_is_new() -> None:
    offers = Offers(b"")
    offers.made(target(), 1, 0.0)
    offers.answered(A, CT, 0, 0.0)
    assert not offers.ready(A, CT, OFFERS.pause_seconds / 2)
    offers.gained()
    assert offers.ready(A, CT, OFFERS.pause_seconds / 2)
    assert offers.next_change(OFFERS.pause_seconds / 2) is None
    offers.made(target(), 1, 1.0)
    offers.answered(A, CT, 0, 1.0)
    assert offers.next_change(1.0) == 1.0 + 2 * OFFERS.pause_seconds, (
        "it did not: the pause is longer"
    )


def test_what_is_counted_on_follows_what_is_chosen() -> None:
    offers = Offers(b"")
    for _ in range(40):
        offers.made(target(), 4, 0.0)
        offers.answered(A, CT, 1, 0.0)
    offers.made(target(), 4, 0.0)
    assert offers.chunks() == pytest.approx(1.0, abs=0.01)
    offers.answered(A, CT, 0, 0.0)
    for _ in range(40):
        offers.made(target(), 4, 100.0)
        offers.answered(A, CT, 0, 100.0)
    offers.made(target(), 4, 100.0)
    assert offers.chunks() == pytest.approx(4 * OFFERS.least_share, abs=0.01)
    for _ in range(40):
        offers.answered(A, CT, 4, 100.0)
        offers.made(target(), 4, 100.0)
    assert offers.chunks() == pytest.approx(4.0, abs=0.01)


def test_the_most_complete_of_many_is_never_served() -> None:
    members = [VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in range(9)]
    targets = [target(member, completeness=n / 9) for n, member in enumerate(members)]
    offers = Offers(b"seed")
    served = Counter(
        chosen.member for _ in range(500) if (chosen := offers.choose(targets, 0.0, itself))
    )
    assert set(served) == set(members[: -(OFFERS.choices - 1)])
    assert served[members[0]] > served[members[4]] > served[members[7]]


def test_hosts_draw_lots_of_their_own() -> None:
    members = [VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in range(30)]
    targets = [target(member) for member in members]
    drawn = [[Offers(seed).choose(targets, 0.0, itself)] for seed in (b"one", b"two", b"one")]
    assert drawn[0] == drawn[2] != drawn[1]


def test_partners_that_are_about_equal_take_turns() -> None:
    offers = Offers(b"")
    targets = [target(A, completeness=0.5), target(B, completeness=0.5 + 0.5 / OFFERS.classes)]
    turns = []
    for now in range(6):
        chosen = offers.choose(targets, float(now), itself)
        assert chosen is not None
        turns.append(chosen.member)
        offers.made(chosen, 1, float(now))
        offers.answered(chosen.member, CT, 1, float(now))
    assert turns == [A, B, A, B, A, B]


def test_a_partner_has_one_offer_of_a_study_at_a_time() -> None:
    offers = Offers(b"")
    offers.made(target(A), 2, 0.0)
    assert offers.choose([target(A)], 0.0, itself) is None
    assert offers.choose([target(A), target(A, MR)], 0.0, itself) == target(A, MR)
    assert offers.chunks() == 2


# ---------------------------------------------------------------- answers


@given(st.integers(1, 9), st.integers(0, 20))
def test_nobody_gets_more_than_was_offered(offered: int, asked: int) -> None:
    offers = Offers(b"")
    assert offers.answered(A, CT, asked, 0.0) == 0
    offers.made(target(), offered, 0.0)
    assert offers.answered(B, CT, asked, 0.0) == 0
    assert offers.answered(A, MR, asked, 0.0) == 0
    assert offers.answered(A, CT, asked, 0.0) == min(asked, offered)
    assert offers.answered(A, CT, asked, 0.0) == 0
    assert offers.chunks() == 0


@pytest.mark.parametrize("late", [0.0, OFFERS.answer_seconds, 10 * OFFERS.answer_seconds])
def test_late_answers_count(late: float) -> None:
    offers = Offers(b"")
    offers.made(target(), 3, 0.0)
    offers.expire(late)
    assert offers.answered(A, CT, 3, late) == 3


@settings(max_examples=200)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=8), st.data())
def test_every_offer_is_honoured_however_late_its_answer_comes(
    chunks: list[int], data: st.DataObject
) -> None:
    """A partner far away, or behind a full queue: an offer is made anew before it answers."""
    offers = Offers(b"")
    unanswered: list[int] = []
    now = 0.0
    for count in chunks:
        while unanswered and data.draw(st.booleans()):
            asked = data.draw(st.integers(0, unanswered[0]))
            assert offers.answered(A, CT, asked, now) == asked
            unanswered.pop(0)
        now += OFFERS.answer_seconds + OFFERS.pause_limit
        offers.expire(now - OFFERS.pause_limit)
        assert offers.choose([target()], now, itself) == target()
        offers.made(target(), count, now)
        unanswered.append(count)
    for count in unanswered:
        assert offers.answered(A, CT, count, now) == count


def test_an_offer_that_is_not_answered_no_longer_counts() -> None:
    offers = Offers(b"")
    offers.made(target(), 3, 1.0)
    assert offers.next_change(1.0) == 1.0 + OFFERS.slow_seconds
    assert offers.chunks(now=1.0 + OFFERS.slow_seconds - 0.01) == 3
    assert offers.chunks(now=1.0 + OFFERS.slow_seconds) == 0  # another offer may be made meanwhile
    assert offers.next_change(1.0 + OFFERS.slow_seconds) == 1.0 + OFFERS.answer_seconds
    offers.expire(1.0 + OFFERS.answer_seconds - 0.01)
    assert offers.chunks() == 3
    offers.expire(1.0 + OFFERS.answer_seconds)
    assert offers.chunks() == 0
    assert (
        offers.choose([target()], 1.0 + OFFERS.answer_seconds, itself) is None
    )  # it is left alone for a while
    after = offers.next_change(1.0 + OFFERS.answer_seconds)
    assert after == 1.0 + OFFERS.answer_seconds + OFFERS.pause_seconds
    assert offers.choose([target()], after, itself) == target()


def test_whoever_did_not_answer_is_not_counted_on_until_it_did() -> None:
    offers = Offers(b"")
    offers.made(target(), 3, 0.0)
    assert (offers.chunks(2), offers.chunks(3)) == (3, 0)
    offers.expire(OFFERS.answer_seconds)
    offers.made(target(), 3, 5.0)
    assert offers.chunks() == 0
    assert offers.answered(A, CT, 3, 5.1) == 3  # the first one
    assert offers.chunks() == 3
    assert offers.answered(A, CT, 3, 5.2) == 3
    offers.made(target(), 3, 6.0)
    assert offers.chunks() == 3


def test_pauses_double_up_to_a_limit_and_end_when_something_is_wanted() -> None:
    offers = Offers(b"")
    now = 0.0
    pauses = []
    for _ in range(6):
        offers.made(target(), 1, now)
        offers.answered(A, CT, 0, now)
        assert offers.choose([target()], now, itself) is None
        until = offers.next_change(now)
        assert until is not None
        pauses.append(until - now)
        now = until
        assert offers.choose([target()], now, itself) == target()
    assert pauses == pytest.approx([0.3, 0.6, 1.2, 2.4, 2.4, 2.4])
    offers.made(target(), 1, now)
    offers.answered(A, CT, 1, now)
    assert offers.choose([target()], now, itself) == target()
    offers.made(target(), 1, now)
    offers.answered(A, CT, 0, now)
    assert offers.next_change(now) == now + OFFERS.pause_seconds  # from the beginning


def test_a_pause_is_of_one_study_alone() -> None:
    offers = Offers(b"")
    offers.made(target(), 1, 0.0)
    offers.answered(A, CT, 0, 0.0)
    assert offers.choose([target(), target(A, MR)], 0.0, itself) == target(A, MR)


def test_who_is_gone_is_forgotten() -> None:
    offers = Offers(b"")
    for study in (CT, MR):
        offers.made(target(A, study), 1, 0.0)
    offers.drop(A, MR)
    assert offers.chunks() == 1
    assert offers.answered(A, MR, 1, 0.0) == 0
    offers.drop(A)
    assert offers.chunks() == 0
    assert offers.answered(A, CT, 1, 0.0) == 0
    assert offers.choose([target()], 0.0, itself) == target()
    assert offers.next_change(0.0) is None


# ---------------------------------------------------------------- in any order


class OffersMachine(RuleBasedStateMachine):
    """Whatever partners do: no more than was offered, and nobody is left alone for good."""

    def __init__(self) -> None:
        super().__init__()
        self.offers = Offers(b"seed")
        self.now = 0.0
        self.offered: Counter[tuple[VirtualAddress, StudyId]] = Counter()
        self.given: Counter[tuple[VirtualAddress, StudyId]] = Counter()

    @rule(seconds=st.floats(0, 2 * OFFERS.answer_seconds))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.offers.expire(self.now)

    @rule(fetchers=targets_of(6), chunks=st.integers(1, 5))
    def offer(self, fetchers: list[OfferTarget], chunks: int) -> None:
        chosen = self.offers.choose(fetchers, self.now, itself)
        if chosen is not None:
            self.offers.made(chosen, chunks, self.now)
            self.offered[chosen.member, chosen.study] += chunks
        elif any(one.useful > 0 for one in fetchers):
            assert self.offers.next_change(self.now) is not None

    @rule(member=st.sampled_from((A, B, C)), study=st.sampled_from((CT, MR)), n=st.integers(0, 9))
    def answer(self, member: VirtualAddress, study: StudyId, n: int) -> None:
        allowed = self.offers.answered(member, study, n, self.now)
        assert 0 <= allowed <= n
        self.given[member, study] += allowed

    @rule(member=st.sampled_from((A, B, C)), study=st.sampled_from((CT, MR, None)))
    def drop(self, member: VirtualAddress, study: StudyId | None) -> None:
        self.offers.drop(member, study)

    @invariant()
    def never_more_than_offered(self) -> None:
        assert all(self.given[key] <= self.offered[key] for key in self.given)

    @invariant()
    def offers_count_by_class(self) -> None:
        counted = [self.offers.chunks(priority) for priority in range(5)]
        assert counted == sorted(counted, reverse=True)
        assert 0 == counted[-1] <= counted[0]
        assert counted[0] <= sum(one.chunks for one in self.offers._open.values())

    @invariant()
    def everybody_is_ready_again_after_a_while(self) -> None:
        offers = self.offers
        later = self.now + OFFERS.answer_seconds + OFFERS.pause_limit
        waits = {key: one.until for key, one in offers._open.items()}
        assert all(self.now < until <= later for until in waits.values())
        for key, pause in offers._pauses.items():
            assert pause.until <= later, key


TestOffers = OffersMachine.TestCase
TestOffers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_it_goes_by_can_be_handed_in() -> None:
    offers = Offers(b"", OffersTuning(answer_seconds=10.0, pause_seconds=7.0))
    offers.made(target(), 1, 0.0)
    offers.expire(OFFERS.answer_seconds)
    assert not offers.ready(A, CT, OFFERS.answer_seconds), "its answer may still come"
    offers.expire(10.0)
    assert not offers.ready(A, CT, 16.9)
    assert offers.ready(A, CT, 17.0)
