"""Links of one transfer, on a mesh that only remembers to whom links are held."""

from typing import cast

import trio
import trio.testing
from attrs import define, field

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.mesh.mesh import Mesh
from p2pacs.swarm.download.neighbour_links import NeighbourLinks
from p2pacs.swarm.scheduling.neighbours import TUNING
from p2pacs.swarm.studies.study_swarm import StudySwarm

Clock = trio.testing.MockClock

ME, BROKER, *OTHERS = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in range(40))


@define
class FakeMesh:
    """Nobody can be reached."""

    me: VirtualAddress = ME
    brokers: frozenset[VirtualAddress] = frozenset([BROKER])
    kept: list[VirtualAddress] = field(factory=list)

    @property
    def held(self) -> "FakeMesh":
        return self

    def apart(self, member: VirtualAddress) -> bool:
        return False

    def keep(self, member: VirtualAddress) -> None:
        self.kept.append(member)

    def release(self, member: VirtualAddress) -> None:
        self.kept.remove(member)


def links_on(mesh: FakeMesh, *, starved: bool = False) -> NeighbourLinks:
    swarm = StudySwarm(StudyId(bytes(16)), {})
    return NeighbourLinks(swarm, cast("Mesh", mesh), lambda _: True, lambda _now: starved)


async def test_links_are_held_to_some_and_none_once_the_transfer_is_over(
    autojump_clock: Clock,
) -> None:
    mesh = FakeMesh()
    links = links_on(mesh)
    links.meet([BROKER, *OTHERS])
    assert len(mesh.kept) == TUNING.neighbours
    assert BROKER not in mesh.kept  # whose link is held anyway
    await trio.sleep(TUNING.try_seconds)  # none of them was reached
    links.seek(trio.current_time())
    assert len(mesh.kept) == len(set(mesh.kept)) == 2 * TUNING.neighbours
    links.release()
    assert mesh.kept == []


async def test_one_wait_ends_when_somebody_is_met(autojump_clock: Clock) -> None:
    links = links_on(FakeMesh())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(links.wait_until, 100.0, 0.0)
        await trio.sleep(5)
        links.meet(OTHERS[:1])
    assert trio.current_time() == 5
    await links.wait_until(5 + TUNING.origins_seconds / 2, 5)
    assert trio.current_time() == 5 + TUNING.origins_seconds / 2
    await links.wait_until(100, trio.current_time())  # until others than origins may be dialled
    assert trio.current_time() == 5 + TUNING.origins_seconds
