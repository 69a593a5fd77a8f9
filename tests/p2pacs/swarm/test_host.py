from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.errors import DeadlineError, P2PacsError, UnavailableError
from p2pacs.hours import Hours
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.line.line import Line
from p2pacs.wire.messages.messages import (
    DirectoryAnswer,
    DirectoryQuery,
    Query,
    Renewal,
    RenewQuery,
    Reply,
)
from tests.simulation.world import Study, fetched, open_world

Clock = trio.testing.MockClock


async def test_the_directory_can_be_asked_for(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        peer = await world.add("peer")
        reply = await peer.host.call(broker.address, DirectoryQuery(0, 0), timeout=5)
        assert isinstance(reply, DirectoryAnswer)
        assert reply.signed == world.raw
        newest = broker.book.directory.version
        reply = await peer.host.call(broker.address, DirectoryQuery(0, newest), timeout=5)
        assert isinstance(reply, DirectoryAnswer)
        assert reply.signed == b""


async def test_any_broker_that_is_there_is_asked(autojump_clock: Clock, tmp_path: Path) -> None:
    async def renew(_member: VirtualAddress, query: Query) -> Reply:
        return Renewal(query.id, b"certificate")

    async with open_world(tmp_path) as world:
        brokers = [await world.add(f"broker {n}", Role.BROKER, start=False) for n in (1, 2)]
        for broker in brokers:
            broker.services.queries[RenewQuery] = renew
            await broker.start()
        peer = await world.add("peer")
        await trio.sleep(1)
        links = peer.host.mesh.links
        assert {broker.address for broker in brokers} <= links.keys()
        for killed in brokers:  # whichever it is that is asked first
            killed.kill()
            await trio.sleep(1)
            reply = await peer.host.call_broker(RenewQuery(0, b"request"), timeout=30)
            assert isinstance(reply, Renewal)
            await killed.start()
            with trio.fail_after(5):
                await peer.host.mesh.until_linked(killed.address)
        for broker in brokers:
            broker.kill()
        await trio.sleep(1)
        with pytest.raises(UnavailableError):
            await peer.host.call_broker(RenewQuery(0, b"request"), timeout=30)


async def test_a_study_comes_from_whichever_broker_has_it(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker 1", Role.BROKER)
        second = await world.add("broker 2", Role.BROKER)
        study = Study(world.key)
        study.grow(8)
        await study.put(second.store)
        peer = await world.add("peer")
        with trio.fail_after(20):
            await peer.fetch(study, []).wait_complete()
        await fetched(peer, study)


async def test_links_are_told_to_the_services(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        peer = await world.add("peer", start=False)
        seen: list[tuple[str, VirtualAddress]] = []
        peer.services.linked = lambda member: seen.append(("linked", member))
        peer.services.unlinked = lambda member: seen.append(("unlinked", member))
        await peer.start()
        await trio.sleep(1)
        broker.kill()
        await trio.sleep(1)
        assert seen == [("linked", broker.address), ("unlinked", broker.address)]


async def test_a_hospital_holds_links_to_replicas_before_it_fetches_anything(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        replica = await world.add("replica", Role.REPLICA)
        hospital = await world.add("hospital")
        other = await world.add("other")
        await trio.sleep(1)
        links = hospital.host.mesh.links
        assert replica.address in links
        assert other.address not in links
        later = await world.add("later", Role.REPLICA)
        await trio.sleep(1)
        assert later.address in links
        world.revoke(replica)
        await trio.sleep(60)
        assert replica.address not in links
        assert later.address in links
        dialled = hospital.dials
        await trio.sleep(120)
        assert hospital.dials == dialled, "who was revoked is not dialled again"


async def test_a_question_has_a_deadline(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        peer = await world.add("peer")

        async def never(_member: VirtualAddress, _query: Query) -> Reply:
            await trio.sleep_forever()
            raise AssertionError

        broker.services.queries[RenewQuery] = never
        start = trio.current_time()
        with pytest.raises(DeadlineError):
            await peer.host.call(broker.address, RenewQuery(0, b"x"), timeout=7)
        assert trio.current_time() - start < 8


async def test_a_broker_that_does_not_answer_is_named_as_the_reason(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async def never(_member: VirtualAddress, _query: Query) -> Reply:
        await trio.sleep_forever()
        raise AssertionError

    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER, start=False)
        broker.services.queries[RenewQuery] = never
        await broker.start()
        peer = await world.add("peer")
        await trio.sleep(1)
        with pytest.raises(DeadlineError, match="did not answer within 7 s"):
            await peer.host.call_broker(RenewQuery(0, b"x"), timeout=7)


async def test_a_question_that_lost_its_link_is_asked_again(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        peer = await world.add("peer")
        asked = 0

        async def answer(member: VirtualAddress, query: Query) -> Reply:
            nonlocal asked
            asked += 1
            if asked == 1:
                broker.host.mesh.links[member].close(None)
                await trio.sleep(10)
            return Renewal(query.id, b"certificate")

        broker.services.queries[RenewQuery] = answer
        reply = await peer.host.call(broker.address, RenewQuery(0, b"x"), timeout=60)
        assert isinstance(reply, Renewal)
        assert asked == 2


async def test_a_member_that_is_away_cannot_be_asked(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER, start=False)
        peer = await world.add("peer")
        with pytest.raises(P2PacsError, match="refused"):
            await peer.host.call(broker.address, DirectoryQuery(0, 0), timeout=5)


async def test_a_host_follows_the_hours_of_its_line(autojump_clock: Clock, tmp_path: Path) -> None:
    closed = Line(80_000, hours=(Hours.parse("00:00-24:00 off"),))
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        peer = await world.add("peer", line=closed)
        await trio.sleep(1)
        assert peer.host.uplink is not None
        assert peer.host.uplink.rate == 0
        assert peer.host.mesh.links, "a closed line still carries control messages"
