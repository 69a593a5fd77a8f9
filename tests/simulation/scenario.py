"""A swarm to try things on: who has a study, who fetches it, over which lines, and how it went."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
import trio
from attrs import define, field, frozen
from structlog.testing import capture_logs

from p2pacs.errors import P2PacsError
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.limits import KIB, SEAL_BYTES
from p2pacs.line.line import Line
from p2pacs.line.pacing import NO_OVERHEAD, Overhead
from p2pacs.study.runs import SMALL_BYTES
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.wire.messages.messages import KINDS
from tests.simulation.clock import EventClock, make_deterministic
from tests.simulation.halves import Half
from tests.simulation.nic import QUEUE, Nic
from tests.simulation.world import SimMember, Study, World, fetched, open_world

T = TypeVar("T")

NEWS_SECONDS = 0.1
"""After which the broker has told members that ask at once of each other."""

PATIENCE: Final = 10.0
"""Times the limit (and a minute) after which a run is given up."""


@frozen
class Plan:
    """What is simulated."""

    members: int = 4
    """That fetch the study."""
    replicas: int = 3
    """That have it."""
    megabytes: float = 4.0
    chunk: int = 32 * KIB
    beginning: int = 0
    """Bytes that come in small chunks before the others."""
    up: float = 100_000.0
    """Bytes a second."""
    down: float = 375_000.0
    delay: float = 0.021
    """Seconds each way between any two."""
    queue: int = QUEUE
    loss: float = 0.0
    overhead: Overhead = NO_OVERHEAD
    neighbours: int | None = None
    """Links of each, about; None for all."""
    seed: int = 1


@define
class Swarm:
    """One world with one study, as a `Plan` says."""

    plan: Plan
    world: World
    nursery: trio.Nursery
    study: Study
    broker: SimMember
    replicas: list[SimMember] = field(factory=list)
    members: list[SimMember] = field(factory=list)
    transfers: dict[VirtualAddress, Transfer] = field(factory=dict)
    began: dict[VirtualAddress, float] = field(factory=dict)
    done: dict[VirtualAddress, float] = field(factory=dict)
    """Seconds from `fetch` until all was there (and right), by member."""
    lots: random.Random = field(factory=random.Random)

    @property
    def total(self) -> int:
        """Bytes of the study's chunks."""
        return self.study.list.total_bytes

    @property
    def fluid(self) -> float:
        """The least seconds until all have it (Kumar and Ross): of any schedule, of any fluid."""
        origins = sum(replica.nic.up for replica in self.replicas)
        uplinks = origins + sum(member.nic.up for member in self.members)
        slowest = min(member.nic.down for member in self.members)
        return self.total * max(1 / origins, 1 / slowest, len(self.members) / uplinks)

    @property
    def last(self) -> float:
        """Seconds until the last had it."""
        return max(self.done.values())

    @property
    def ratio(self) -> float:
        """The last's time over the limit."""
        return self.last / self.fluid

    @property
    def sent(self) -> int:
        """Bytes on all uplinks."""
        return sum(member.nic.sent for member in [*self.replicas, *self.members])

    @property
    def wire_over_payload(self) -> float:
        """Those bytes over what everybody had to get."""
        return self.sent / self.total / len(self.done)

    def messages(self) -> dict[str, tuple[int, int]]:
        """How many messages of each kind were sent, and their bytes; the most first."""
        count: Counter[int] = Counter()
        size: Counter[int] = Counter()
        for member in [*self.replicas, *self.members]:
            count.update(member.nic.messages)
            size.update(member.nic.message_bytes)
        return {KINDS[kind].__name__: (n, size[kind]) for kind, n in count.most_common()}

    # ------------------------------------------------------------ who takes part

    def nic(self, **other: Any) -> Nic:
        """A line as the plan says, except for this."""
        plan = self.plan
        lots = random.Random(self.lots.random())  # noqa: S311 (no secret)
        as_planned: dict[str, Any] = {
            "up": plan.up,
            "down": plan.down,
            "delay": plan.delay / 2,
            "queue": plan.queue,
            "loss": plan.loss,
            "overhead": plan.overhead,
            "random": lots,
        }
        return Nic(**(as_planned | other))

    async def add(
        self,
        name: str,
        role: Role = Role.HOSPITAL,
        *,
        kind: type[SimMember] = SimMember,
        **line: Any,
    ) -> SimMember:
        """A further host, which knows the rates of its line."""
        nic = self.nic(**line)
        paced = Line(round(nic.up * 8), round(nic.down * 8), overhead=nic.overhead)
        return await self.world.add(name, role, nic=nic, line=paced, kind=kind)

    async def add_replica(self, **line: Any) -> SimMember:
        """A further host that has the study."""
        replica = await self.add(f"replica {len(self.replicas)}", Role.REPLICA, **line)
        if replica.here:
            await self.study.put(replica.store)
        self.replicas.append(replica)
        return replica

    async def add_member(self, **line: Any) -> SimMember:
        """A further host that will fetch it."""
        member = await self.add(f"hospital {len(self.members)}", **line)
        self.members.append(member)
        return member

    # ------------------------------------------------------------ fetching

    def fetch(
        self,
        member: SimMember,
        holders: Sequence[SimMember] | None = None,
        root: bytes | None = None,
    ) -> Transfer:
        """Begin one member's transfer, of whom the plan says; `done` tells when it was over."""
        holders = self.holders(member) if holders is None else holders
        transfer = member.fetch(self.study, holders, root)
        self.transfers[member.address] = transfer
        self.began[member.address] = trio.current_time()
        self.nursery.start_soon(self._note, member, transfer)
        return transfer

    async def _note(self, member: SimMember, transfer: Transfer) -> None:
        with suppress(P2PacsError):
            await transfer.wait_complete()
        seconds = trio.current_time() - self.began[member.address]
        if transfer.state is TransferState.COMPLETE:
            await fetched(member, self.study)
            self.done[member.address] = seconds

    def holders(self, member: SimMember) -> list[SimMember]:
        """Whom a member is told of: all, or as many as make the links that the plan says."""
        others = [one for one in [*self.replicas, *self.members] if one is not member]
        links = self.plan.neighbours
        if links is None or links >= len(others):
            return others
        return self.lots.sample(others, max(1, links // 2))  # as many dial it

    async def fetch_all(self) -> None:
        """All members fetch at once; returns when all are done.

        Raises:
            TimeoutError: somebody was not, after many times the limit.
        """
        roots = [await self.study.grant(member.store) for member in self.members]
        met = {}
        for member, root in zip(self.members, roots, strict=True):
            met[member.address] = self.holders(member)  # drawn for the other half's members, too
            if member.here:
                first = [one for one in met[member.address] if one in self.replicas]
                self.fetch(member, first, root)
        await trio.sleep(NEWS_SECONDS)
        for address, transfer in self.transfers.items():
            transfer.add_holders(one.address for one in met[address])
        await self.finished(*(member for member in self.members if member.here))
        if self.world.half is not None:
            await self._meet(self.world.half)

    async def _meet(self, half: Half) -> None:
        """Serve the other half's members until they are done, and learn how it went there."""
        half.done = True
        await half.over.wait()
        self._check(half)
        ours = [member for member in self.world.members.values() if member.here]
        counted = [(bytes(one.address), one.nic.counted()) for one in ours]
        done, theirs = half.swap((list(self.done.items()), counted))
        self.done.update(done)
        for address, counters in theirs:
            self.world.members[VirtualAddress(address)].nic.count(*counters)

    @staticmethod
    def _check(half: Half | None) -> None:
        if half is not None and half.lost:
            raise TimeoutError("the other half of the simulation failed")

    async def finished(self, *members: SimMember) -> None:
        """Until these are done.

        Raises:
            TimeoutError: somebody was not, after many times the limit.
        """
        with trio.move_on_after(60 + PATIENCE * self.fluid):
            while any(member.address not in self.done for member in members):
                self._check(self.world.half)
                await trio.sleep(0.25)
            return
        late = [member.record.name for member in members if member.address not in self.done]
        raise TimeoutError(f"{len(late)} of {len(members)} not done: {', '.join(late[:5])}")


async def open_swarm(plan: Plan, world: World, nursery: trio.Nursery) -> Swarm:
    """The hosts of a plan; nobody fetches yet."""
    study = Study(world.key, plan.seed, chunk=plan.chunk)
    study.begin(plan.beginning, SMALL_BYTES + SEAL_BYTES)
    rest = plan.megabytes * 1_000_000 - study.list.total_bytes
    study.grow(max(1, round(rest / plan.chunk)))
    broker = await world.add("broker", Role.BROKER)
    swarm = Swarm(plan, world, nursery, study, broker)
    swarm.lots.seed(plan.seed)
    for _ in range(plan.replicas):
        await swarm.add_replica()
    for _ in range(plan.members):
        await swarm.add_member()
    return swarm


@frozen
class Outcome:
    """How a run went."""

    swarm: Swarm
    logs: list[Any]

    def told(self, event: str, member: SimMember | None = None, **fields: Any) -> int:
        """How often the log said this (of this member)."""
        if member is not None:
            fields["member"] = member.record.name
        wanted = fields | {"event": event}
        return sum(wanted.items() <= entry.items() for entry in self.logs)


def simulate(plan: Plan, story: Callable[[Swarm], Awaitable[object]]) -> Outcome:
    """Run a story in virtual time, in a trio run of its own: the same plan, the same run."""
    swarms: list[Swarm] = []

    async def run() -> None:
        async with open_world(Path("simulated")) as world, trio.open_nursery() as nursery:
            swarm = await open_swarm(plan, world, nursery)
            swarms.append(swarm)
            await story(swarm)
            nursery.cancel_scope.cancel()

    make_deterministic(plan.seed)
    structlog.reset_defaults()  # a command line that ran before may have hidden what is told
    with capture_logs() as logs:
        trio.run(run, clock=EventClock())
    return Outcome(swarms[0], list(logs))
