from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from attrs import frozen

from broker.database.recipients import address, list_ends, list_recipients
from broker.handlers.budgets import Budgets
from broker.handlers.cancelling import CancelHooks, CancelService
from broker.handlers.interfaces import Parts
from broker.ingest.sent import SentStudy, adopt_studies, begin_sending, find_sent, note_stored
from broker.members.registry import Member
from broker.trail import audit
from p2pacs.errors import ForbiddenError, MalformedMessageError, ProtocolError
from p2pacs.ids import StudyId
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import CancelNoted, CancelQuery, Ping
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import joined, open_parts

UID = "1.2.3"


@frozen
class Bench:
    ground: Ground
    parts: Parts
    services: Services
    said: list[tuple[str, StudyId]]
    north: Member
    south: Member

    @property
    def study(self) -> StudyId:
        return self.parts.studies.id_of(UID)

    async def cancel(self, member: Member, uid: str = UID) -> CancelNoted:
        reply = await self.services.queries[CancelQuery](member.address, CancelQuery(7, uid, 5))
        assert isinstance(reply, CancelNoted)
        assert reply.id == 7
        return reply

    async def sent(self) -> SentStudy:
        found = await self.ground.database.run(lambda c: find_sent(c, self.study))
        assert found is not None
        return found

    async def trail(self) -> list[tuple[str, str, str]]:
        entries = await self.ground.database.run(audit.read)
        return [
            (one.actor, one.what, one.outcome)
            for one in reversed(entries)
            if "cancelled" in one.what or "address" in one.what
        ]


@pytest.fixture
async def bench(ground: Ground, tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_parts(ground, tmp_path, FakePacs()) as parts:
        said: list[tuple[str, StudyId]] = []

        async def stop(study: StudyId) -> None:
            await trio.lowlevel.checkpoint()
            said.append(("stop", study))

        async def changed(study: StudyId) -> None:
            await trio.lowlevel.checkpoint()
            said.append(("changed", study))

        hooks = CancelHooks(stop, lambda one: said.append(("cancelled", one.study)), changed)
        CancelService(parts, Budgets(), hooks).enter(services := Services())
        (north, _), (south, _) = await joined(ground, "North"), await joined(ground, "South")
        study = parts.studies.id_of(UID)

        def begin(connection: object) -> None:
            begin_sending(connection, study, UID, north.address)  # type: ignore[arg-type]
            address(  # type: ignore[call-overload]
                connection,  # type: ignore[arg-type]
                study,
                [south.address],
                Priority.STAT,
                sender=north.address,
                actor="North",
            )

        await ground.database.run(begin)
        yield Bench(ground, parts, services, said, north, south)


async def test_nothing_more_is_waited_for_and_its_recipients_are_to_be_told(bench: Bench) -> None:
    assert (await bench.cancel(bench.north)).stored == 0
    one = await bench.sent()
    assert (one.sending, one.instances, one.came) == (False, 5, None)
    assert one.cancelled is not None
    assert bench.said == [(what, bench.study) for what in ("stop", "cancelled", "changed")]
    assert await bench.trail() == [
        ("North", "sending cancelled", audit.DONE),
        ("North", "address of a study ended", audit.DONE),
    ]
    database = bench.ground.database
    assert not await database.run(lambda c: list_recipients(c, bench.study))
    (end,) = await database.run(lambda c: list_ends(c, study=bench.study))
    assert (end.member, end.is_cancelled) == (bench.south.address, True)
    await bench.cancel(bench.north)  # said again it changes nothing
    assert len(bench.said) == 3
    assert await bench.sent() == one


async def test_what_others_send_and_what_is_finished_without_it_is_refused(bench: Bench) -> None:
    with pytest.raises(ForbiddenError, match="not sent by this member"):
        await bench.cancel(bench.south)
    await bench.ground.database.run(lambda c: adopt_studies(c, bench.north.address))
    with pytest.raises(ForbiddenError, match="finished without"):
        await bench.cancel(bench.north)
    assert (await bench.sent()).sending
    assert not bench.said
    assert [(actor, outcome) for actor, _, outcome in await bench.trail()] == [
        ("South", audit.REFUSED),
        ("North", audit.REFUSED),
    ]


async def test_one_that_is_home_is_not_cancelled(bench: Bench) -> None:
    def end(connection: object) -> None:
        from broker.ingest.sent import note_version  # noqa: PLC0415

        note_version(connection, bench.study, 4, complete=True)  # type: ignore[arg-type]
        note_stored(connection, bench.study, 4)  # type: ignore[arg-type]

    await bench.ground.database.run(end)
    assert (await bench.cancel(bench.north)).stored == 4
    assert (await bench.sent()).cancelled is None
    assert not bench.said


async def test_of_what_nobody_sends_there_is_nothing_to_note(bench: Bench) -> None:
    assert (await bench.cancel(bench.south, "1.2.4")).stored == 0
    with pytest.raises(MalformedMessageError):
        await bench.cancel(bench.north, "1.2\\3")
    with pytest.raises(ProtocolError):
        await bench.services.queries[CancelQuery](bench.north.address, Ping(1))
    assert not bench.said
