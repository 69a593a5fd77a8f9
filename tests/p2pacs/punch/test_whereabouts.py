from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing
from attrs import define

from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.limits import CANDIDATES
from p2pacs.punch.nat import Nat
from p2pacs.punch.whereabouts import Whereabouts
from p2pacs.units import Endpoint
from p2pacs.wire.messages.messages import Seen
from tests.p2pacs.swarm.nodes import Nodes

CT = StudyId(bytes(16))


async def test_what_a_neighbour_sees_counts_if_it_is_linked_from_the_held_port(
    tmp_path: Path,
) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        hospital = await nodes.add("hospital", host="127.0.0.2")
        there = broker.identity.address
        with trio.fail_after(30):
            await hospital.host.mesh.until_linked(there)
        mesh, members = hospital.host.mesh, nodes.books[1]
        port = mesh.links[there].local_port
        assert hospital.puncher.position.holds_port
        here = Whereabouts(hospital.identity.address, members, mesh, port, ())
        other = Whereabouts(hospital.identity.address, members, mesh, port + 1, ())
        assert here.seen(there, Seen("203.0.113.9:4000"))
        assert not here.seen(there, Seen("203.0.113.9:4000")), "no news"
        assert not other.seen(there, Seen("203.0.113.9:4000"))
        assert not here.seen(hospital.identity.address, Seen("203.0.113.9:4001")), "not linked"
        assert list(here.position.outer) == ["203.0.113.9:4000"]
        one, two = here.offer(there, CT), here.offer(there, CT)
        assert one.endpoints[0] == "203.0.113.9:4000"
        assert len(one.endpoints) <= CANDIDATES
        assert one.time < two.time
        record = members.directory.get(there)
        assert record is not None
        assert "127.0.0.2" in here.surroundings(record).members
        here.unlinked(there)
        assert not here.position.outer


@define
class Mapped:
    """What a router may do for a port."""

    outer: Endpoint | None = None


async def test_a_router_is_asked_once_it_is_known_to_be_there(
    tmp_path: Path,
) -> None:
    asked, mapped = list[int](), Mapped()

    @asynccontextmanager
    async def mapping(port: int) -> AsyncIterator[Mapped]:
        asked.append(port)
        yield mapped

    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        hospital = await nodes.add("hospital", host="127.0.0.2")
        there = broker.identity.address
        with trio.fail_after(30):
            await hospital.host.mesh.until_linked(there)
        mesh = hospital.host.mesh
        port = mesh.links[there].local_port
        here = Whereabouts(hospital.identity.address, nodes.books[1], mesh, port, ())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.keep_mapped, mapping)
            await trio.testing.wait_all_tasks_blocked()
            assert asked == [], "no neighbour has said anything"
            here.seen(there, Seen("203.0.113.9:4000"))
            await trio.testing.wait_all_tasks_blocked()
            assert asked == [port]
            assert here.position.mapped is None
            mapped.outer = Endpoint("203.0.113.9", 4711)
            assert here.position.mapped == "203.0.113.9:4711"
            assert here.position.nat is Nat.MAPPED
            assert "203.0.113.9:4711" in here.offer(there, CT).endpoints
            mapped.outer = None
            assert here.position.nat is Nat.UNKNOWN
            assert "203.0.113.9:4711" not in here.offer(there, CT).endpoints
            nursery.cancel_scope.cancel()
