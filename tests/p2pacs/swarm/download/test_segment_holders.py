from __future__ import annotations

from typing import cast

import pytest
import trio
import trio.testing
from attrs import define, field

from p2pacs.bitfield import Bitfield
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.mesh.mesh import Mesh
from p2pacs.study.manifest import Root
from p2pacs.swarm.download.segment_holders import TUNING, SegmentHolders
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.study_swarm import OTHERS_SECONDS, StudySwarm

Clock = trio.testing.MockClock

STUDY = StudyId(bytes(16))
BROKER, SENDER, ME, OTHER = (VirtualAddress(b"\xfd" + bytes([n] * 15)) for n in (1, 2, 3, 4))
ROOT = Root(STUDY, 1, True, 32768, 10, 327_680, (ChunkId(bytes(32)),), ())


@define
class Links:
    """Who is who."""

    me: VirtualAddress = ME
    brokers: set[VirtualAddress] = field(factory=lambda: {BROKER})


def swarm_of(*members: VirtualAddress) -> StudySwarm:
    """A swarm in which these take part; who sends it has it."""
    swarm = StudySwarm(STUDY, {})
    swarm.sender = SENDER
    for member in members:
        has = Bitfield(range(10 if member == SENDER else 0))
        swarm.partners[member] = Partner(1, has, fetching=True)
    return swarm


def holders(swarm: StudySwarm, links: Links) -> SegmentHolders:
    return SegmentHolders(swarm, cast("Mesh", links), [SENDER, OTHER])


async def test_the_broker_asks_who_sends_it_and_the_others_ask_the_broker(
    autojump_clock: Clock,
) -> None:
    swarm = swarm_of(SENDER, BROKER, OTHER)
    asked = holders(swarm, Links())
    await trio.sleep(OTHERS_SECONDS)
    assert asked.to_ask(ROOT, 0, ()) == [OTHER, BROKER]
    assert not asked.can_be_had(ROOT, 0, ())
    swarm.partners[BROKER].has.add(3)
    assert asked.to_ask(ROOT, 0, ()) == [BROKER]
    at_broker = holders(swarm_of(SENDER, OTHER), Links(me=BROKER))
    assert at_broker.to_ask(ROOT, 0, ()) == [SENDER]
    assert at_broker.can_be_had(ROOT, 0, ())


async def test_who_sends_it_is_asked_where_no_broker_gives_it(autojump_clock: Clock) -> None:
    assert holders(swarm_of(SENDER, OTHER), Links()).to_ask(ROOT, 0, ()) == [SENDER]
    asked = holders(swarm_of(SENDER, BROKER), Links())
    await trio.sleep(TUNING.spare_seconds)
    assert asked.to_ask(ROOT, 0, ()) == [SENDER]
    asked.rooted()
    assert asked.to_ask(ROOT, 0, ()) == [BROKER]


async def test_who_did_not_give_it_is_left_alone_until_it_says_something(
    autojump_clock: Clock,
) -> None:
    asked = holders(swarm_of(BROKER, OTHER), Links())
    await trio.sleep(OTHERS_SECONDS)
    asked.refused(OTHER, ROOT, 0)
    assert asked.to_ask(ROOT, 0, ()) == [BROKER]
    asked.heard(OTHER)
    assert asked.to_ask(ROOT, 0, ()) == [OTHER, BROKER]
    asked.refused(OTHER, ROOT, 0)
    await trio.sleep(TUNING.retry_seconds)
    assert asked.to_ask(ROOT, 0, ()) == [OTHER, BROKER]


@pytest.mark.parametrize("busy", [(), (BROKER,), (OTHER,)])
async def test_the_broker_comes_last_and_is_left_to_the_first_in_the_beginning(
    autojump_clock: Clock, busy: tuple[VirtualAddress, ...]
) -> None:
    asked = holders(swarm_of(BROKER, OTHER), Links())
    assert asked.to_ask(ROOT, 0, busy) == [OTHER]
    await trio.sleep(OTHERS_SECONDS)
    assert asked.to_ask(ROOT, 0, busy) == [OTHER, BROKER]
