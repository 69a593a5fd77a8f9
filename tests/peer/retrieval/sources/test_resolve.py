from pathlib import Path

import pytest
import trio

from p2pacs.errors import (
    DeadlineError,
    ForbiddenError,
    KeyUnavailableError,
    RevokedError,
    StudyNotFoundError,
)
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.wire.messages.messages import Query, Reply
from peer.retrieval.sources.resolve import ResolvedStudy
from tests.peer.retrieval.test_study_fetch import opened, read_all
from tests.peer.world import instances, open_world
from tests.waiting import eventually


async def test_the_broker_answers(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        one, other = await world.add("one"), await world.add("other")
        world.broker.holders = [other.identity.address]
        found = await one.resolver.find(world.broker.study, "move")
        assert found.broker
        assert found.key == world.broker.key
        assert (found.version, found.holders) == (1, (other.identity.address,))
        assert str(found.key) == "<redacted>"
        assert await one.grants.key(world.broker.study) == world.broker.key


async def test_a_blind_member_gets_no_key(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        replica = await world.add("r", Role.REPLICA)
        found = await replica.resolver.find(world.broker.study, "replicate")
        assert found.key is None
        assert found.version == 1
        await world.stop("broker")
        await eventually(lambda: replica.identity.broker not in replica.host.mesh.links)
        found = await replica.resolver.find(world.broker.study, "replicate")
        assert (found.key, found.broker, found.holders) == (None, False, ())


async def test_members_answer_when_the_broker_is_away(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        one, other = await world.add("one"), await world.add("other")
        fetch = await opened(world, other)
        await read_all(fetch)
        await eventually(lambda: one.index.by_uid(world.broker.uid) is not None)
        await world.stop("broker")
        found = await one.resolver.find(world.broker.study, "move")
        assert not found.broker
        assert found.key == world.broker.key
        assert (found.version, found.holders) == (1, (other.identity.address,))


async def test_a_refusal_is_remembered_while_the_broker_is_away(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.broker.catalogue.upsert([world.broker.record()])
        peer = await world.add("a")
        await peer.resolver.find(world.broker.study, "move")
        world.broker.forbidden = True
        with pytest.raises(ForbiddenError):
            await peer.resolver.find(world.broker.study, "move")
        await world.stop("broker")
        await eventually(lambda: peer.identity.broker not in peer.host.mesh.links)
        with pytest.raises(KeyUnavailableError):
            await peer.resolver.find(world.broker.study, "move")


async def test_a_broker_that_is_there_and_silent_is_the_reason(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        await eventually(lambda: peer.host.mesh.broker_linked)
        world.broker.staged = DeadlineError("no answer in time; ask again later")
        with pytest.raises(DeadlineError, match="the broker is linked and does not answer") as told:
            await peer.resolver.find(world.broker.study, "move")
        assert told.value.transient


async def test_a_revoked_member_reads_nothing_and_is_told_what_to_do(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.broker.catalogue.upsert([world.broker.record()])
        peer = await world.add("a")
        await peer.resolver.find(world.broker.study, "move")
        await peer.grants.key(world.broker.study)
        world.revoke("a")
        with pytest.raises(RevokedError, match="may not read: ask the administrator"):
            await peer.resolver.find(world.broker.study, "move")


async def test_a_broker_that_is_restarted_while_it_is_asked_is_asked_again(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        grant, asked = world.broker.grant, trio.Event()

        async def never(_member: VirtualAddress, _query: Query) -> Reply:
            asked.set()
            await trio.sleep_forever()
            raise AssertionError

        world.broker.grant = never
        await world.stop("broker")
        await world.start_broker()
        peer = await world.add("a")
        await eventually(lambda: peer.identity.broker in peer.host.mesh.links)
        world.broker.catalogue.upsert([world.broker.record()])
        found: list[ResolvedStudy] = []

        async def find() -> None:
            found.append(await peer.resolver.find(world.broker.study, "move"))

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(find)
                await asked.wait()
                world.broker.grant = grant
                await world.stop("broker")
                await world.start_broker()
        assert found[0].broker
        assert found[0].key == world.broker.key


async def test_what_nobody_knows(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        with pytest.raises(StudyNotFoundError):
            await peer.resolver.find(StudyId(bytes(16)), "move")
        with pytest.raises(StudyNotFoundError, match="check the Study Instance UID"):
            await peer.resolver.record("1.2.3")
