import itertools
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.limits import HAVE_RANGES
from p2pacs.swarm.circle import Circle, Partner, ranges
from p2pacs.swarm.connection import Connection
from p2pacs.swarm.memory import MemoryStudy
from p2pacs.wire.messages import Have, Join, ManifestNews, Message

A, B, C = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2, 3))
CT = StudyId(bytes(16))


class Ear:
    """Hears what is sent over a link."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def send(self, message: Message) -> None:
        self.heard.append(message)


def circle_of(*members: VirtualAddress) -> tuple[Circle, dict[VirtualAddress, Ear]]:
    ears = {member: Ear() for member in members}
    return Circle(CT, cast("dict[VirtualAddress, Connection]", ears)), ears


@settings(max_examples=50)
@given(st.sets(st.integers(0, 300)))
def test_ranges_say_the_same(numbers: set[int]) -> None:
    pairs = ranges(numbers)
    assert {n for first, count in pairs for n in range(first, first + count)} == numbers
    assert all(a[0] + a[1] < b[0] for a, b in itertools.pairwise(pairs))


async def test_who_fetches_hears_at_once_and_the_others_later() -> None:
    circle, ears = circle_of(A, B)
    circle.chunks = MemoryStudy()
    circle.partners = {A: Partner(1, Bitfield(), True), B: Partner(1, Bitfield([0]), False)}
    circle.join_all()
    circle.gained([4, 5])
    assert circle.announce(also_idle=False)
    circle.gained([9])
    assert not circle.announce(also_idle=True)
    raw = bytes(CT)
    assert ears[A].heard[1:] == [Have(raw, [(4, 2)]), Have(raw, [(9, 1)])]
    assert ears[B].heard[1:] == [Have(raw, [(4, 2), (9, 1)])]


async def test_partners_that_were_told_nothing_yet_get_all_we_have() -> None:
    circle, ears = circle_of(A)
    circle.chunks = MemoryStudy()
    circle.partners = {A: Partner(0, Bitfield(), True)}
    await circle.chunks.put(1, ChunkId(bytes(32)), b"x")
    circle.gained([1])
    circle.announce(also_idle=False)
    assert ears[A].heard == [Join(bytes(CT), 0, b"\x40", False)]


def test_long_news_are_split() -> None:
    circle, ears = circle_of(A)
    circle.partners = {A: Partner(0, Bitfield(), True)}
    circle.told.add(A)
    circle.gained(range(0, 2 * HAVE_RANGES + 2, 2))
    circle.announce(also_idle=False)
    assert [len(m.ranges) for m in ears[A].heard if isinstance(m, Have)] == [HAVE_RANGES, 1]


def test_a_root_goes_once_to_those_that_lack_it() -> None:
    circle, ears = circle_of(A, B)
    circle.version = 3
    circle.partners = {A: Partner(2, Bitfield(), True), B: Partner(3, Bitfield(), True)}
    circle.push_root(b"root")
    circle.push_root(b"root")
    assert ears[A].heard == [ManifestNews(bytes(CT), b"root")]
    assert ears[B].heard == []


def test_completeness() -> None:
    circle, _ = circle_of()
    circle.partners = {A: Partner(1, Bitfield([0, 1]), True)}
    assert circle.completeness(A) == 0
    circle.listed = 4
    assert circle.completeness(A) == 0.5
    assert circle.completeness(C) == 0
    assert not circle.idle
