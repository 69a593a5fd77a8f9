from collections import Counter
from typing import cast

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.limits import HAVE_RANGES
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.study_swarm import TUNING as STUDY
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.wire.messages.messages import Have, Join, ManifestNews, Message, Offer, Request
from scripts.memory_store import MemoryStudy

Clock = trio.testing.MockClock

A, B, C, *OTHERS = (
    VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in range(1, STUDY.few + 2)
)
CT = StudyId(bytes(16))
RAW = bytes(CT)


class Ear:
    """Hears what is sent over a link."""

    def __init__(self, *, paced: bool = False) -> None:
        self.paced = paced
        self.heard: list[Message] = []

    def send(self, message: Message) -> None:
        self.heard.append(message)


def circle_of(
    *members: VirtualAddress, paced: bool = False, fetching: bool = True
) -> tuple[StudySwarm, dict[VirtualAddress, Ear]]:
    """A swarm whose partners know that we take part, and what they hear."""
    ears = {member: Ear(paced=paced) for member in members}
    swarm = StudySwarm(CT, cast("dict[VirtualAddress, Connection]", ears), b"seed")
    swarm.partners = {member: Partner(1, Bitfield(), fetching) for member in members}
    swarm.told.update(members)
    return swarm, ears


async def holding(
    swarm: StudySwarm, count: int, listed: int | None = None, *, small: int = 0
) -> StudySwarm:
    """The first ``count`` chunks are here, of ``listed`` (or of so many); so many are small."""
    swarm.chunks = MemoryStudy()
    sizes = bytes(STUDY.small_chunk), bytes(STUDY.small_chunk + 1)
    for number in range(count):
        await swarm.chunks.put(number, ChunkId(bytes(32)), sizes[number >= small])
    swarm.listed = count if listed is None else listed
    return swarm


# ---------------------------------------------------------------- news


@pytest.mark.parametrize(
    ("paced", "fetching", "seconds"),
    [
        (False, True, STUDY.have_seconds),
        (True, True, STUDY.late_have_seconds),
        (False, False, STUDY.idle_have_seconds),
        (True, False, STUDY.idle_have_seconds),
    ],
)
async def test_each_partner_hears_in_its_time(
    autojump_clock: Clock, paced: bool, fetching: bool, seconds: float
) -> None:
    swarm, ears = circle_of(A, paced=paced, fetching=fetching)
    start = trio.current_time()
    swarm.gained([4, 5])
    assert swarm.announce(start) == pytest.approx(start + seconds)
    await trio.sleep(seconds / 2)
    swarm.gained([9])  # waits no longer than the first
    assert swarm.announce(trio.current_time()) == pytest.approx(start + seconds)
    assert ears[A].heard == []
    assert swarm.announce(start + seconds) is None
    assert ears[A].heard == [Have(RAW, [(4, 2), (9, 1)])]
    assert swarm.announce(start + 2 * seconds) is None
    assert len(ears[A].heard) == 1


async def test_in_mid_transfer_news_wait_for_something_to_ride_on(autojump_clock: Clock) -> None:
    swarm, ears = circle_of(A, B, C, *OTHERS, paced=True)
    await holding(swarm, 10, listed=20)
    swarm.gained([9])
    now = trio.current_time()
    assert swarm.announce(now + STUDY.late_have_seconds) == pytest.approx(
        now + STUDY.calm_have_seconds
    )
    await holding(swarm, 19, listed=20)  # nearly complete: it matters who lacks what
    assert swarm.announce(now + STUDY.late_have_seconds) is None
    assert ears[A].heard == [Have(RAW, [(9, 1)])]


async def test_in_mid_transfer_news_ride_on_offers_alone(autojump_clock: Clock) -> None:
    swarm, ears = circle_of(A, B, C, *OTHERS, paced=True)
    await holding(swarm, 10, listed=20)
    swarm.gained([9])
    request, offer = Request(RAW, [3]), Offer(RAW, 1, [])
    swarm.send(A, request)
    swarm.send(A, offer)
    assert ears[A].heard == [request, Have(RAW, [(9, 1)]), offer]
    await holding(swarm, 19, listed=20)
    swarm.gained([8])
    swarm.send(A, request)
    assert ears[A].heard[3:] == [Have(RAW, [(8, 1)]), request]


async def test_the_first_chunk_is_told_of_at_once(autojump_clock: Clock) -> None:
    swarm, ears = circle_of(A, paced=True)
    await holding(swarm, 1, listed=20)
    swarm.gained([0])
    assert swarm.due == trio.current_time()
    assert swarm.announce(trio.current_time()) is None
    assert ears[A].heard == [Have(RAW, [(0, 1)])]


async def test_what_is_due_is_known_as_soon_as_there_is_something_to_tell(
    autojump_clock: Clock,
) -> None:
    swarm, _ = circle_of(A, paced=True)
    assert swarm.due == float("inf")
    swarm.gained([1])
    assert swarm.due == pytest.approx(trio.current_time() + STUDY.late_have_seconds)
    swarm.announce(swarm.due)
    assert swarm.due == float("inf")


async def test_news_ride_ahead_of_what_goes_to_the_same_member() -> None:
    swarm, ears = circle_of(A, B, paced=True)
    swarm.gained([2])
    offer = Offer(RAW, 2, [])
    swarm.send(A, offer)
    swarm.send(A, offer)
    assert ears[A].heard == [Have(RAW, [(2, 1)]), offer, offer]
    assert ears[B].heard == []
    assert swarm.announce(trio.current_time() + STUDY.late_have_seconds) is None
    assert len(ears[A].heard) == 3
    assert ears[B].heard == [Have(RAW, [(2, 1)])]


async def test_roots_do_not_leave_news_behind() -> None:
    swarm, ears = circle_of(A, paced=True)
    swarm.version = 2
    swarm.gained([2])
    swarm.push_root(b"root")
    assert ears[A].heard == [Have(RAW, [(2, 1)]), ManifestNews(RAW, b"root")]


async def test_whoever_gave_a_chunk_is_not_told_of_it() -> None:
    swarm, ears = circle_of(A, B)
    swarm.gained([1, 2], giver=A)
    swarm.gained([3], giver=B)
    assert swarm.announce(trio.current_time() + STUDY.have_seconds) is None
    assert ears[A].heard == [Have(RAW, [(3, 1)])]
    assert ears[B].heard == [Have(RAW, [(1, 2)])]


async def test_joining_says_all_so_that_no_news_are_left() -> None:
    swarm, ears = circle_of(A)
    await holding(swarm, 2, listed=8)
    swarm.gained([0, 1])
    swarm.join(A)
    assert swarm.announce(trio.current_time() + STUDY.idle_have_seconds) is None
    assert ears[A].heard == [Join(RAW, 0, b"\xc0", False, 0, False)]


async def test_a_join_says_whether_the_link_is_paced() -> None:
    swarm, ears = circle_of(A, paced=True)
    swarm.join_all()
    assert ears[A].heard == [Join(RAW, 0, b"", False, 0, True)]


async def test_partners_that_were_told_nothing_yet_get_all_we_have() -> None:
    swarm, ears = circle_of(A)
    swarm.told.clear()
    await holding(swarm, 2)
    swarm.gained([1])
    swarm.send(A, Offer(RAW, 1, []))  # a Have before our Join would be an offence
    swarm.announce(trio.current_time() + STUDY.have_seconds)
    assert ears[A].heard == [Offer(RAW, 1, []), Join(RAW, 0, b"\xc0", False, 0, False)]


async def test_long_news_are_split() -> None:
    swarm, ears = circle_of(A)
    swarm.gained(range(0, 2 * HAVE_RANGES + 2, 2))
    swarm.announce(trio.current_time() + STUDY.have_seconds)
    assert [len(m.ranges) for m in ears[A].heard if isinstance(m, Have)] == [HAVE_RANGES, 1]


async def test_a_partner_without_a_link_keeps_its_news() -> None:
    swarm, ears = circle_of(A)
    ear = ears.pop(A)  # it is being dialled anew
    swarm.gained([1])
    swarm.send(A, Offer(RAW, 1, []))
    assert swarm.announce(trio.current_time() + STUDY.idle_have_seconds) is None
    ears[A] = ear
    swarm.announce(trio.current_time() + STUDY.idle_have_seconds)
    assert ear.heard == [Have(RAW, [(1, 1)])]


async def test_a_root_goes_once_to_those_that_lack_it() -> None:
    swarm, ears = circle_of(A, B)
    swarm.version = 3
    swarm.partners = {A: Partner(2, Bitfield(), True), B: Partner(3, Bitfield(), True)}
    swarm.push_root(b"root")
    swarm.push_root(b"root")
    assert ears[A].heard == [ManifestNews(RAW, b"root")]
    assert ears[B].heard == []


async def test_all_who_were_told_are_told_anew() -> None:
    swarm, ears = circle_of(A, B)
    del swarm.partners[B]  # its own Join is still under way
    swarm.join_all()
    assert [len(ear.heard) for ear in ears.values()] == [1, 1]


# ---------------------------------------------------------------- what partners lack


def test_completeness() -> None:
    swarm, _ = circle_of()
    swarm.partners = {A: Partner(1, Bitfield([0, 1]), True)}
    assert swarm.completeness(A) == 0
    swarm.listed = 4
    assert swarm.completeness(A) == 0.5
    assert swarm.completeness(A, on_its_way=1) == 0.75
    assert swarm.completeness(A, on_its_way=9) == 1
    assert swarm.completeness(C) == 0
    assert not swarm.idle


def test_how_urgent_it_is_to_whom() -> None:
    swarm, _ = circle_of(A)
    swarm.partners[A].priority = 3
    assert (swarm.priority(A), swarm.priority(B)) == (3, 0)


async def test_useful_is_what_is_here_and_lacked() -> None:
    swarm, _ = circle_of(A)
    assert swarm.useful(swarm.partners[A]) == 0
    await holding(swarm, 4, listed=9)
    for number in (1, 2, 8):
        swarm.partners[A].has.add(number)
    assert swarm.useful(swarm.partners[A]) == 2


async def test_what_only_we_have() -> None:
    swarm, _ = circle_of(A, B)
    assert list(swarm.only_here([], [])) == []
    await holding(swarm, 5)
    swarm.partners[A].has.add(0)
    swarm.partners[B].has.add(1)
    assert list(swarm.only_here([4], [])) == [2, 3]


async def test_what_no_root_names_yet_is_not_offered() -> None:
    swarm, _ = circle_of(A)
    await holding(swarm, 5)
    swarm.listed = 3
    assert list(swarm.only_here([], [])) == [0, 1, 2]


def test_a_partner_that_gains_is_remembered() -> None:
    swarm, _ = circle_of(A)
    swarm.partner_gained(A, [1, 2])
    swarm.partner_gained(C, [1])
    assert list(swarm.partners[A].has) == [1, 2]
    assert swarm.partners[A].moved_at == 0.0  # perhaps it got them from here


async def test_each_partner_is_advised_otherwise_until_it_has_chosen() -> None:
    swarm, _ = circle_of(A, B)
    await holding(swarm, 40)
    to_a, to_b = list(swarm.hints(A)), list(swarm.hints(B))
    assert len(to_a) == len(to_b) == STUDY.hints
    assert not set(to_a) & set(to_b)
    swarm.given(A, to_a[:2])
    swarm.given(B, [])  # it wanted nothing: what it was advised is as good as before
    assert list(swarm.hints(A)) == to_b
    assert list(swarm.hints(B))[: STUDY.hints - 2] == to_a[2:]


async def test_a_partner_that_gave_up_on_chunks_lacks_them() -> None:
    swarm, _ = circle_of(A)
    await holding(swarm, 4)
    swarm.partner_gained(A, [1, 2])
    swarm.partner_lost(A, [2, 3])
    swarm.partner_lost(C, [1])
    assert list(swarm.partners[A].has) == [1]
    assert swarm.useful(swarm.partners[A]) == 3


async def test_hints_are_lacked() -> None:
    swarm, _ = circle_of(A, B)
    await holding(swarm, 40)
    first = list(swarm.hints(A))
    swarm.given(A, [])
    swarm.partners[A].has.add(first[3])
    assert first[3] not in swarm.hints(A)
    assert first[3] in swarm.hints(B)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3)), min_size=1, max_size=60))
def test_everything_is_given_once_before_anything_is_given_twice(
    turns: list[tuple[int, int]],
) -> None:
    swarm, _ = circle_of(A, B)
    trio.run(holding, swarm, 20)
    given: Counter[int] = Counter()
    for who, count in turns:
        member = (A, B)[who]
        numbers = list(swarm.hints(member))[:count]
        swarm.given(member, numbers)
        given.update(numbers)
        assert max(given.values()) <= min(given[number] for number in range(20)) + 1


async def test_what_a_growing_study_got_is_given_first() -> None:
    swarm, _ = circle_of(A)
    await holding(swarm, 40)
    swarm.given(A, list(swarm.hints(A)))
    await holding(swarm, 44)
    assert set(swarm.hints(A)[:4]) == {40, 41, 42, 43}


async def test_only_an_origin_advises() -> None:
    swarm, _ = circle_of(A)
    await holding(swarm, 39, listed=40)
    assert swarm.hints(A) == []
    await holding(swarm, 40)
    assert swarm.hints(C) == []
    assert swarm.hints(A)


async def test_hosts_begin_with_different_chunks() -> None:
    hints = []
    for seed in (b"one", b"two"):
        swarm, _ = circle_of(A)
        swarm._seed = seed
        await holding(swarm, 400)
        hints.append(swarm.hints(A))
    assert not set(hints[0]) & set(hints[1])


async def test_the_small_chunks_that_a_study_begins_with_are_given_first() -> None:
    swarm, _ = circle_of(A)
    await holding(swarm, 400, small=20)
    given: list[int] = []
    for _ in range(5):
        hints = swarm.hints(A)
        given += hints
        swarm.given(A, hints)
    assert set(given[:20]) == set(range(20))
    assert len(set(given)) == 40


async def test_then_small_and_large_ones_take_turns() -> None:
    swarm, _ = circle_of(A)
    await holding(swarm, 400, small=48)
    swarm.hints(A)
    given = list(swarm._giving)
    given = [*given[-STUDY.hints :], *given[: -STUDY.hints]]  # what was advised has gone to the end
    assert sorted(given) == list(range(400))
    assert all(number < 48 for number in given[: STUDY.small_alone])
    rest = given[STUDY.small_alone :]
    assert [number < 48 for number in rest[:48]] == [False, True] * (48 - STUDY.small_alone)
    few, _ = circle_of(A)
    await holding(few, 50, small=48)
    few.hints(A)
    assert sorted(few._giving) == list(range(50))


async def test_hints_are_looked_for_within_bounds() -> None:
    swarm, _ = circle_of(A)
    await holding(swarm, STUDY.hints_scanned + 10)
    assert swarm.hints(A)
    swarm.given(A, [])
    swarm.partners[A].has = Bitfield(list(swarm._giving)[: STUDY.hints_scanned])
    assert swarm.hints(A) == []


async def test_who_asks_for_the_same_again_and_again_is_no_longer_urgent() -> None:
    swarm, _ = circle_of(A, B)
    for partner in swarm.partners.values():
        partner.priority = 3
    swarm.given(A, range(100))
    for _ in range(STUDY.given_again):
        swarm.given(A, [7])
    assert swarm.priority(A) == 3
    swarm.given(A, [7])
    assert (swarm.priority(A), swarm.priority(B)) == (0, 3)


async def test_what_another_was_advised_and_may_choose_is_not_only_here() -> None:
    swarm, _ = circle_of(A, B)
    await holding(swarm, 5)
    swarm.partners[A].hinted = [0, 1]
    assert list(swarm.only_here([4], [A])) == [2, 3]
    assert list(swarm.only_here([], [])) == [0, 1, 2, 3, 4]
    swarm.given(A, [1])  # it was never among those that are given in turn
    assert swarm.partners[A].hinted == []
