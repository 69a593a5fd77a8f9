"""Nodes on real sockets with real certificates and stores on disk."""

import os
from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.errors import (
    AuthenticationError,
    ForbiddenError,
    LinkClosedError,
    NoSourceError,
    RevokedError,
    StateError,
    UnknownMessageError,
)
from p2pacs.identity.directory import Role
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.limits import KIB
from p2pacs.store.store import ChunkStore
from p2pacs.study.manifest import ChunkList, Root, sign_root
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import Endpoint
from p2pacs.wire.messages.messages import (
    CatalogueNews,
    CataloguePage,
    CatalogueQuery,
    Message,
    Query,
    Reply,
)
from tests.components import free_port
from tests.p2pacs.identity.network import record_of
from tests.p2pacs.swarm.nodes import LAN, Nodes

CT = StudyId(bytes(16))
CHUNK = 64 * KIB


async def publish(nodes: Nodes, store: ChunkStore, chunks: int) -> list[bytes]:
    study = await store.study(CT)
    data = [os.urandom(CHUNK) for _ in range(chunks)]
    listed = ChunkList()
    for number, each in enumerate(data):
        await study.put(number, ChunkId.of(each), each)
        listed.append(ChunkId.of(each), len(each))
    segments = {ChunkId.of(segment): segment for segment in listed.segments()}
    for chunk, segment in segments.items():
        await study.put_segment(chunk, segment)
    root = Root(CT, 1, True, CHUNK, chunks, listed.total_bytes, tuple(segments), ())
    await study.put_root(sign_root(root, nodes.network.signing), version=1)
    return data


async def until_linked(node: Node, member: VirtualAddress) -> None:
    with trio.fail_after(30):
        await node.host.mesh.until_linked(member)


async def test_a_study_travels_and_is_served_on(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        data = await publish(nodes, nodes.stores["broker"], 100)
        await broker.host.engine.updated(CT)
        replica = await nodes.add("replica", Role.REPLICA)
        with trio.fail_after(20):
            await replica.host.engine.downloads.fetch(CT, holders=[]).wait_complete()
        hospital = await nodes.add("hospital")
        transfer = hospital.host.engine.downloads.fetch(CT, holders=[replica.identity.address])
        with trio.fail_after(20):
            await transfer.wait_complete()
        study = await nodes.stores["hospital"].study(CT)
        assert await study.read_many(range(100)) == data
        assert transfer.sources[replica.identity.address].bytes == 100 * CHUNK
        assert replica.host.engine.uploads.bytes_sent[hospital.identity.address] == 100 * CHUNK
        assert hospital.host.engine.downloads.transfers[CT] is transfer


async def test_the_line_is_paced_and_the_lan_is_not(tmp_path: Path) -> None:
    line = Line(uplink=4_000_000, lan=LAN)
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add(
            "broker", Role.BROKER, line=line, host="127.0.0.1", lan="127.0.1.1"
        )
        await publish(nodes, nodes.stores["broker"], 16)
        await broker.host.engine.updated(CT)
        near = await nodes.add("near", Role.REPLICA, host="127.0.1.2", line=Line(lan=LAN))
        far = await nodes.add("far", host="127.0.0.3", line=Line())
        start = trio.current_time()
        with trio.fail_after(20):
            await far.host.engine.downloads.fetch(CT, holders=[]).wait_complete()
        # 1 MiB at 4 Mbit/s: 2.1 s, and what TLS and TCP/IP add
        assert trio.current_time() - start > 2.0
        assert broker.host.uplink is not None
        broker.host.uplink.change(0)  # what goes over the LAN does not notice
        with trio.fail_after(20):
            await near.host.engine.downloads.fetch(CT, holders=[]).wait_complete()


async def test_downlink_pacing_holds_over_several_sources(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        await publish(nodes, nodes.stores["broker"], 24)
        sources = [await nodes.add(f"replica{n}", Role.REPLICA) for n in range(4)]
        await broker.host.engine.updated(CT)
        for source in sources:
            await source.host.engine.downloads.fetch(CT, holders=[]).wait_complete()
        hospital = await nodes.add("hospital", line=Line(downlink=6_000_000))
        start = trio.current_time()
        transfer = hospital.host.engine.downloads.fetch(
            CT, holders=[s.identity.address for s in sources]
        )
        with trio.fail_after(20):
            await transfer.wait_complete()
        least = 24 * CHUNK * 1.045 * 8 / 6_000_000
        assert trio.current_time() - start > 0.85 * least
        assert len(transfer.sources) >= 3


async def test_one_endpoint_that_answers_is_enough(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        dead = str(Endpoint("127.0.0.1", free_port()))
        broker = await nodes.add("broker", Role.BROKER, extra=(dead, "no such endpoint"))
        peer = await nodes.add("peer")
        await until_linked(peer, broker.identity.address)


async def test_questions_and_news_reach_the_services(tmp_path: Path) -> None:
    heard: list[tuple[VirtualAddress, Message]] = []

    async def page(member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, CatalogueQuery)
        if query.since == 9:
            raise ForbiddenError("not for you")
        return CataloguePage(0, [], query.since, False, False)

    asked = Services(queries={CatalogueQuery: page})
    hears = Services(news={CatalogueNews: lambda member, news: heard.append((member, news))})
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER, services=asked)
        peer = await nodes.add("peer", services=hears)
        member = broker.identity.address
        reply = await peer.host.call(member, CatalogueQuery(0, 5), timeout=30)
        assert isinstance(reply, CataloguePage)
        assert reply.until == 5
        with pytest.raises(ForbiddenError, match="not for you"):
            await peer.host.call(member, CatalogueQuery(0, 9), timeout=30)
        with pytest.raises(UnknownMessageError):
            await broker.host.call(peer.identity.address, CatalogueQuery(0, 1), timeout=30)
        broker.host.tell_linked(CatalogueNews(7), [Role.REPLICA])
        broker.host.tell_linked(CatalogueNews(8), [Role.HOSPITAL])
        assert broker.host.tell(peer.identity.address, CatalogueNews(9))
        with trio.fail_after(30):
            while len(heard) < 2:
                await trio.lowlevel.checkpoint()
        assert heard == [(member, CatalogueNews(8)), (member, CatalogueNews(9))]
        assert set(peer.host.mesh.links) == {member}


async def test_a_revoked_member_is_cut_off_and_kept_out(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        peer = await nodes.add("peer")
        address = peer.identity.address
        await until_linked(broker, address)
        nodes.revoke(peer)
        with trio.fail_after(30):
            while address in broker.host.mesh.links:
                await trio.lowlevel.checkpoint()
        with pytest.raises(RevokedError):
            await broker.host.call(address, CatalogueQuery(0, 1), timeout=30)
        with pytest.raises(RevokedError, match="was revoked"):  # it is told why
            await peer.host.call(broker.identity.address, CatalogueQuery(0, 1), timeout=30)
        assert address not in broker.host.mesh.links
        assert isinstance(peer.host.mesh.refused.get(broker.identity.address), RevokedError)


async def test_a_key_that_was_replaced_is_cut_off_and_the_new_one_is_let_in(
    tmp_path: Path,
) -> None:
    async def page(_member: VirtualAddress, query: Query) -> Reply:
        return CataloguePage(query.id, [], 7, more=False, reset=False)

    async with Nodes(tmp_path) as nodes:
        asked = Services(queries={CatalogueQuery: page})
        broker = await nodes.add("broker", Role.BROKER, services=asked)
        lost = await nodes.add("hospital")
        me, question = broker.identity.address, CatalogueQuery(0, 1)
        assert isinstance(await lost.host.call(me, question, timeout=30), CataloguePage)
        links = broker.host.mesh.links
        old = links[lost.identity.address]
        anew = nodes.network.member("anew", address=lost.identity.address)
        nodes.books.pop()  # the lost machine hears of it over its link, if at all
        node = await nodes.replace(lost, anew)
        assert links.get(anew.address) is not old
        with pytest.raises(AuthenticationError, match="key that is not in the directory"):
            await lost.host.call(me, question, timeout=30)
        assert isinstance(await node.host.call(me, question, timeout=30), CataloguePage)


async def test_newer_directories_travel_with_the_links(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        peer = await nodes.add("peer")
        await until_linked(broker, peer.identity.address)
        book = nodes.books.pop()  # from now on the peer gets it over the wire
        await nodes.add("another")
        broker_version = nodes.books[0].directory.version
        assert book.directory.version < broker_version
        newer = trio.Event()
        book.subscribe(lambda _directory: newer.set())
        broker.host.mesh.links[peer.identity.address].close(None)
        with trio.fail_after(30):
            await newer.wait()
        assert book.directory.version == broker_version


async def test_a_node_that_does_not_run_says_so(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        idle = Node(broker.identity, nodes.books[0], nodes.stores["broker"], Line(), Services(), [])
        with pytest.raises(StateError):
            idle.host.engine.downloads.fetch(CT, holders=[])
        assert not idle.host.tell(broker.identity.address, CatalogueNews(1))
        assert dict(idle.host.engine.downloads.transfers) == {}
        assert dict(idle.host.engine.uploads.bytes_sent) == {}
        assert idle.host.engine.uploads.paced.promised(idle.identity.address) == 0
        busy = Node(
            broker.identity,
            nodes.books[0],
            nodes.stores["broker"],
            Line(),
            Services(),
            list(broker.listen),
        )
        with pytest.raises(StateError, match="cannot listen"):
            await busy.run()


async def test_nobody_answers(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        peer = await nodes.add("peer")
        unknown, dialler, gone = [nodes.network.member(name) for name in "abc"]
        nowhere = str(Endpoint("127.0.0.1", free_port()))
        nodes.records.append(evolve(record_of(dialler), endpoints=()))
        nodes.records.append(evolve(record_of(gone), endpoints=(nowhere,)))
        nodes.publish()
        question = CatalogueQuery(0, 1)
        with pytest.raises(AuthenticationError, match="not in the member directory"):
            await peer.host.call(unknown.address, question, timeout=30)
        with pytest.raises(NoSourceError, match="it dials out only"):
            await peer.host.call(dialler.address, question, timeout=30)
        with pytest.raises(LinkClosedError, match="cannot connect"):
            await peer.host.call(gone.address, question, timeout=30)
