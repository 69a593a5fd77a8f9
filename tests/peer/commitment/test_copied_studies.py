from itertools import pairwise

import trio
from attrs import define, evolve, field
from trio.testing import MockClock

from p2pacs.errors import CorruptStoreError
from p2pacs.ids import StudyId
from peer.commitment.copied_studies import CopiedStudies, CopiesTuning
from peer.spool.instance_progress import InstanceProgress

OF = StudyId(bytes(StudyId.size))
ONE = InstanceProgress(
    uid="1.2.3",
    sop_class="1.2",
    study_uid="1.1",
    study=OF,
    is_beside=False,
    is_safe=False,
    version=3,
    is_refused=False,
)


@define
class Members:
    """Prove what a test says, and count how often they are asked."""

    copies: int = 0
    is_broken: bool = False
    asked: list[int] = field(factory=list)

    async def count(self, _study: StudyId, version: int, wanted: int) -> int:
        await trio.lowlevel.checkpoint()
        if self.is_broken:
            raise CorruptStoreError("cannot be read")
        self.asked.append(version)
        return min(self.copies, wanted)


async def test_copies_enough_make_a_version_safe_and_not_a_newer_one() -> None:
    members = Members(copies=2)
    copied = CopiedStudies(members.count, 2)
    assert not copied.is_safe(ONE)
    await copied.look([ONE, ONE])
    await copied.look([ONE])
    assert members.asked == [3]
    assert copied.is_safe(ONE)
    newer = evolve(ONE, version=4)
    assert not copied.is_safe(newer)
    await copied.look([newer])
    assert copied.is_safe(newer)


async def test_where_there_are_too_few_it_is_looked_again_later(
    autojump_clock: MockClock,
) -> None:
    members = Members(copies=1)
    copied = CopiedStudies(members.count, 2, CopiesTuning(first=10.0, longest=25.0))
    times = []
    for _ in range(100):
        before = len(members.asked)
        await copied.look([ONE])
        if len(members.asked) > before:
            times.append(trio.current_time())
        await trio.sleep(1.0)
    gaps = [round(later - earlier) for earlier, later in pairwise(times)]
    assert gaps == [10, 20, 25, 25]
    assert not copied.is_safe(ONE)
    members.copies = 2
    await trio.sleep(25.0)
    await copied.look([ONE])
    assert copied.is_safe(ONE)


async def test_what_is_in_the_pacs_or_in_no_version_needs_no_proof() -> None:
    members = Members(copies=9)
    copied = CopiedStudies(members.count, 2)
    safe, unpublished = evolve(ONE, is_safe=True), evolve(ONE, version=0)
    unknown = evolve(ONE, study=None)
    await copied.look([safe, unpublished, unknown])
    assert not members.asked
    assert [copied.is_safe(one) for one in (safe, unpublished, unknown)] == [True, False, False]


async def test_where_the_pacs_alone_counts_nobody_is_asked() -> None:
    members = Members(copies=9)
    copied = CopiedStudies(members.count, 0)
    await copied.look([ONE])
    assert not members.asked
    assert not copied.is_safe(ONE)


async def test_a_store_that_cannot_be_read_proves_nothing(autojump_clock: MockClock) -> None:
    members = Members(copies=2, is_broken=True)
    copied = CopiedStudies(members.count, 2)
    await copied.look([ONE])
    assert not copied.is_safe(ONE)
