"""Links that one transfer holds to members that have the study, or fetch it, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from p2pacs.concurrency.signals import Bell
from p2pacs.ids import VirtualAddress
from p2pacs.mesh.mesh import Mesh
from p2pacs.swarm.scheduling.neighbours import Neighbours
from p2pacs.swarm.studies.study_swarm import StudySwarm


class NeighbourLinks:
    """Dials those that `Neighbours` chooses, and tells them that the study is fetched here."""

    def __init__(
        self,
        swarm: StudySwarm,
        mesh: Mesh,
        is_origin: Callable[[VirtualAddress], bool],
        starved: Callable[[float], bool],
    ) -> None:
        """Nobody is met yet.

        Args:
            swarm: Who takes part.
            mesh: The links.
            is_origin: Whether a member has studies in whole: it is dialled first.
            starved: Whether, at a time, nobody who is linked has what is missing.
        """
        self._swarm = swarm
        self._mesh = mesh
        self._starved = starved
        self._neighbours = Neighbours(mesh.me, bytes(mesh.me) + bytes(swarm.study), is_origin)
        self._met = Bell()

    def meet(self, members: Iterable[VirtualAddress], *, later: bool = False) -> None:
        """These hold or fetch the study: brokers, which are always linked, and others.

        Args:
            members: Who.
            later: Somebody told of them: they may dial this member first.
        """
        brokers, others = self._mesh.brokers, []
        for member in members:
            if member in brokers:
                self._tell(member)
            else:
                others.append(member)
        now = trio.current_time()
        self._neighbours.add(others, now, later=later)
        self.seek(now)
        self._met.ring()

    def seek(self, now: float) -> None:
        """Hold links to as many as are of use."""
        linked = [member for member in self._swarm.partners if member not in self._mesh.brokers]
        starved, apart = self._starved(now), self._mesh.apart
        for member in self._neighbours.seek(linked, now, starved=starved, apart=apart):
            self._mesh.held.keep(member)
            self._tell(member)

    def _tell(self, member: VirtualAddress) -> None:
        if member not in self._swarm.told:
            self._swarm.join(member)

    async def wait_until(self, time: float, now: float) -> None:
        """Until a time, or earlier: somebody was met, or others may be dialled."""
        with trio.move_on_at(min(time, self._neighbours.due(now))):
            await self._met.wait()

    def release(self) -> None:
        """None of these links is needed any more."""
        for member in self._neighbours.sought:
            self._mesh.held.release(member)
