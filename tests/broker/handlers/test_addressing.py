from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from attrs import frozen

from broker.database.recipients import list_recipients
from broker.handlers.addressing import AddressService
from broker.handlers.budgets import Budgets
from broker.handlers.interfaces import Parts
from broker.ingest.sent import begin_sending, find_sent
from broker.members import registry
from broker.members.registry import Member
from broker.trail import audit
from p2pacs.errors import ForbiddenError, RevokedError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import AddressQuery
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import joined, open_parts

UID = "1.2.3"


@frozen
class Bench:
    ground: Ground
    parts: Parts
    service: AddressService
    changed: list[StudyId]
    north: Member
    urged: list[Priority]

    @property
    def study(self) -> StudyId:
        return self.parts.studies.id_of(UID)

    async def address(
        self, member: Member, *to: VirtualAddress, priority: Priority = Priority.INTERACTIVE
    ) -> list[bytes]:
        query = AddressQuery(7, self.study.raw, [bytes(one) for one in to], int(priority))
        reply = await self.service.address(member.address, query)
        assert reply.id == 7
        return reply.accepted

    async def trail(self) -> list[tuple[str, str, str, VirtualAddress | None]]:
        entries = await self.ground.database.run(audit.read)
        return [
            (one.what, one.outcome, one.detail, one.about)
            for one in reversed(entries)
            if "address" in one.what
        ]


@pytest.fixture
async def bench(ground: Ground, tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_parts(ground, tmp_path, FakePacs()) as parts:
        changed: list[StudyId] = []

        async def note(study: StudyId) -> None:
            await trio.lowlevel.checkpoint()
            changed.append(study)

        urged: list[Priority] = []
        service = AddressService(parts, Budgets(), note, lambda _, how: urged.append(how))
        service.enter(Services())
        north, _ = await joined(ground, "North")
        study = parts.studies.id_of(UID)
        await ground.database.run(lambda c: begin_sending(c, study, UID, north.address))
        yield Bench(ground, parts, service, changed, north, urged)


async def test_a_sender_says_to_whom_its_study_goes(bench: Bench) -> None:
    south, _ = await joined(bench.ground, "South", read="none")
    east, _ = await joined(bench.ground, "East", read="none")
    assert await bench.address(bench.north, south.address, south.address) == [bytes(south.address)]
    assert bench.changed == [bench.study]
    await bench.address(bench.north, south.address)
    assert bench.changed == [bench.study]  # nothing is other than before
    await bench.address(bench.north, east.address, priority=Priority.STAT)
    assert await bench.trail() == [
        ("study addressed", "done", "to South", south.address),
        ("study addressed", "done", "to East, stat", east.address),
        ("address of a study ended", "done", "to South", south.address),
    ]
    found = await bench.ground.database.run(lambda c: list_recipients(c, bench.study))
    assert [one.member for one in found] == [east.address]


async def test_who_reads_nothing_cannot_be_addressed(bench: Bench) -> None:
    replica, _ = await joined(bench.ground, "R1", role=Role.REPLICA)
    gone, _ = await joined(bench.ground, "Gone")
    south, _ = await joined(bench.ground, "South")
    await bench.ground.database.run(lambda c: registry.revoke(c, gone.address))
    unknown = VirtualAddress(b"\xfd" + bytes(15))
    coming, _ = await bench.ground.register("Coming")
    broker = bench.ground.identity.address
    nobody = [replica.address, gone.address, coming.address, unknown, broker, bench.north.address]
    assert await bench.address(bench.north, *nobody, south.address) == [bytes(south.address)]


async def test_the_sender_alone_addresses_a_study(bench: Bench) -> None:
    south, _ = await joined(bench.ground, "South")
    with pytest.raises(ForbiddenError, match="not sent by this member"):
        await bench.address(south, south.address)
    change = registry.change_send
    await bench.ground.database.run(lambda c: change(c, bench.north.address, "none"))
    with pytest.raises(ForbiddenError):  # it may send nothing any more
        await bench.address(bench.north, south.address)
    assert [one[:2] for one in await bench.trail()] == [("study addressed", audit.REFUSED)] * 2
    await bench.ground.database.run(lambda c: registry.revoke(c, bench.north.address))
    with pytest.raises(RevokedError):
        await bench.address(bench.north, south.address)
    assert not bench.changed


async def test_a_study_that_goes_to_nobody_may_be_urgent_too(bench: Bench) -> None:
    assert await bench.address(bench.north, priority=Priority.STAT) == []
    assert bench.urged == [Priority.STAT]
    known = await bench.ground.database.run(lambda c: find_sent(c, bench.study))
    assert known is not None
    assert known.priority is Priority.STAT
