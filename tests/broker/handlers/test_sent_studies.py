from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from attrs import evolve, frozen

from broker.database.db import now
from broker.database.recipients import address
from broker.handlers.budgets import Budgets
from broker.handlers.copies import Copy
from broker.handlers.interfaces import Parts
from broker.handlers.sent_studies import LASTS, SentHooks, SentStudyService
from broker.handlers.study_grants import StudyGrants
from broker.ingest.sent import adopt_studies, find_sent, note_stored
from broker.members import registry
from broker.members.registry import Member
from broker.trail import audit
from p2pacs.catalogue.feed import Tombstone, encode_entry
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import BusyError, ForbiddenError, MalformedMessageError, RevokedError
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import TEXT
from p2pacs.publish import PublishProgress
from p2pacs.study.delegation import load_delegation
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import (
    GRANT_INFO,
    SendGrant,
    SendQuery,
    SentNoted,
    SentReport,
    StudyGrant,
    StudyQuery,
)
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import FakeLinks, FakePublisher, joined, open_parts, record
from tests.conformance.instances import make

UID = "1.2.3"
KEY = SigningKey.generate()
STAT = Priority.STAT


@frozen
class Bench:
    """The service around fakes."""

    ground: Ground
    parts: Parts
    pacs: FakePacs
    publisher: FakePublisher
    service: SentStudyService
    grants: StudyGrants
    listed: list[StudyRecord]
    expected: list[tuple[StudyId, VirtualAddress]]
    wanted: list[tuple[StudyId, VirtualAddress]]
    held: dict[StudyId, int]
    out: list[StudyId]
    whys: dict[StudyId, str]

    async def send(self, member: Member, uid: str = UID, *callers: str) -> SendGrant:
        query = SendQuery(7, uid, bytes(KEY.public), list(callers or ("CT1",)))
        reply = await self.service.send(member.address, query)
        assert isinstance(reply, SendGrant)
        assert reply.id == 7
        return reply

    async def report(
        self, member: Member, record: StudyRecord, version: int = 1, *, complete: bool = False
    ) -> SentNoted:
        query = SentReport(7, record.study.raw, version, complete, encode_entry(record))
        reply = await self.service.report(member.address, query)
        assert isinstance(reply, SentNoted)
        return reply

    async def trail(self) -> list[tuple[str, str, str]]:
        entries = await self.ground.database.run(audit.read)
        return [(one.actor, one.outcome, one.detail) for one in entries if one.what == "study sent"]


@pytest.fixture
async def bench(ground: Ground, tmp_path: Path) -> AsyncIterator[Bench]:
    pacs = FakePacs()
    async with open_parts(ground, tmp_path, pacs) as parts:
        publisher, budgets = FakePublisher(parts.studies, parts.store), Budgets()
        publisher.is_sent = parts.sending.__contains__
        listed: list[StudyRecord] = []
        expected: list[tuple[StudyId, VirtualAddress]] = []
        wanted: list[tuple[StudyId, VirtualAddress]] = []
        held: dict[StudyId, int] = {}
        out: list[StudyId] = []
        whys: dict[StudyId, str] = {}

        async def keep(one: StudyRecord) -> None:
            await trio.lowlevel.checkpoint()
            parts.catalogue.upsert([one])
            listed.append(one)

        async def newest(study: StudyId) -> int:
            await trio.lowlevel.checkpoint()
            return held.get(study, 0)

        async def copies(_study: StudyId, version: int) -> list[Copy]:
            await trio.lowlevel.checkpoint()
            return [Copy(ground.identity.address, version - 1, 500)]

        hooks = SentHooks(
            keep,
            lambda *one: expected.append(one),
            lambda *one: wanted.append(one),
            lambda _: None,
            newest,
            out.append,
            copies,
            lambda _: None,
            lambda study: whys.get(study, ""),
        )
        service = SentStudyService(parts, publisher, budgets, ground.key, hooks)
        service.enter(Services())
        grants = StudyGrants(parts, FakeLinks(), publisher, budgets)
        told = (listed, expected, wanted, held, out, whys)
        yield Bench(ground, parts, pacs, publisher, service, grants, *told)


async def test_a_hospital_may_publish_what_it_makes(bench: Bench) -> None:
    north, box = await joined(bench.ground, "North")
    before = now()
    grant = await bench.send(north)
    study = bench.parts.studies.id_of(UID)
    assert (StudyId(grant.study), grant.version, grant.holders) == (study, 0, [])
    given = load_delegation(grant.delegation, bench.ground.key.public, study)
    assert (given.member, given.key, given.above) == (north.address, KEY.public, 0)
    assert before <= given.begins <= now()
    assert given.ends - given.begins == LASTS
    key = StudyKey(box.open(grant.wrapped_key, GRANT_INFO + study.raw).reveal())
    assert key == await bench.parts.studies.ensure(UID)
    assert study in bench.parts.sending
    assert (bench.expected, bench.wanted) == ([(study, north.address)], [])
    assert await bench.trail() == [("North", "done", "from CT1")]
    await bench.send(north)
    assert len(await bench.trail()) == 1


async def test_what_it_published_is_listed_and_fetched(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    await bench.send(north)
    one = evolve(record(bench.parts, UID), version=9, wrapped_key=b"its own")
    noted = await bench.report(north, one, 2)
    assert (noted.held, noted.stored) == (0, 0)
    me = [bytes(bench.ground.identity.address)]
    assert (noted.members, noted.versions, noted.shares) == (me, [1], [500])
    assert bench.out == [one.study]
    assert bench.listed == [evolve(one, version=2, wrapped_key=b"")]
    assert bench.wanted == [(one.study, north.address)]
    known = await bench.parts.studies.find(one.study)
    assert known is not None
    assert (known.version, known.complete) == (2, False)
    bench.held[one.study] = 2
    bench.whys[one.study] = "the PACS is\x1baway" + 2000 * "."
    noted = await bench.report(north, one, 2)
    assert noted.why.startswith("the PACS is\\x1baway..")
    assert len(noted.why) == TEXT
    bench.whys.clear()
    await bench.report(north, one, 3, complete=True)
    await bench.ground.database.run(lambda c: note_stored(c, one.study, 3))
    noted = await bench.report(north, one, 3, complete=True)
    assert (noted.held, noted.stored, noted.why) == (2, 3, "")
    assert len(bench.listed) == 2  # nothing is listed that the broker publishes by now
    sent = await bench.ground.database.run(lambda c: find_sent(c, one.study))
    assert sent is not None
    assert not sent.sending


async def test_who_publishes_goes_on_from_what_is_out(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    await bench.send(north)
    one = record(bench.parts, UID)
    await bench.report(north, one, 5, complete=True)
    await bench.ground.database.run(lambda c: note_stored(c, one.study, 5))
    bench.parts.sending.discard(one.study)
    grant = await bench.send(north)
    given = load_delegation(grant.delegation, bench.ground.key.public, one.study)
    assert (grant.version, given.above) == (5, 5)
    assert one.study in bench.parts.sending
    assert len(await bench.trail()) == 2


async def test_a_study_of_another_hospital_is_refused_and_written_down(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    south, _ = await joined(bench.ground, "South")
    await bench.send(north)
    with pytest.raises(ForbiddenError, match="sent by another hospital, or its UID is used twice"):
        await bench.send(south)
    actor, outcome, detail = (await bench.trail())[0]
    assert (actor, outcome) == ("South", audit.REFUSED)
    assert "sent by another hospital" in detail
    with pytest.raises(ForbiddenError, match="not sent by this member"):
        await bench.report(south, record(bench.parts, UID))
    with pytest.raises(ForbiddenError, match="not sent by this member"):
        await bench.report(north, record(bench.parts, "1.2.4"))
    assert not bench.listed


async def test_a_study_of_the_pacs_is_refused_listed_or_not(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    bench.pacs.add(make(UID))
    with pytest.raises(ForbiddenError, match="in the central PACS already"):
        await bench.send(north)
    bench.parts.catalogue.upsert([record(bench.parts, "1.2.4")])
    with pytest.raises(ForbiddenError, match="in the central PACS already"):
        await bench.send(north, "1.2.4")
    assert [outcome for _, outcome, _ in await bench.trail()] == [audit.REFUSED] * 2
    assert bench.parts.studies.id_of(UID) not in bench.parts.sending


async def test_a_pacs_that_is_away_keeps_nobody_from_sending(
    bench: Bench, autojump_clock: object
) -> None:
    north, _ = await joined(bench.ground, "North")
    bench.pacs.delay = 3600
    assert (await bench.send(north)).version == 0


async def test_the_rule_of_a_member_says_what_it_may_send(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    replica, _ = await joined(bench.ground, "R1", role=Role.REPLICA)
    with pytest.raises(ForbiddenError, match="may not be sent by R1"):
        await bench.send(replica)
    change = registry.change_send
    await bench.ground.database.run(lambda c: change(c, north.address, "CT1,MR1"))
    with pytest.raises(ForbiddenError, match=r"sent by North \(CT2 is not among CT1,MR1\): ask"):
        await bench.send(north, UID, "CT1", "CT2")
    assert "CT2 is not among CT1,MR1" in (await bench.trail())[0][2]
    await bench.send(north, UID, "CT1")
    await bench.ground.database.run(lambda c: change(c, north.address, "none"))
    with pytest.raises(ForbiddenError, match=r"sent by North \(its rule is none\): ask"):
        await bench.send(north, UID, "CT1")


async def test_a_revoked_member_sends_nothing(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    await bench.ground.database.run(lambda c: registry.revoke(c, north.address))
    with pytest.raises(RevokedError):
        await bench.send(north)


async def test_two_do_not_publish_one_study_at_the_same_time(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    study = bench.parts.studies.id_of(UID)
    progress = bench.publisher.publications[study] = PublishProgress(study, UID)
    with pytest.raises(BusyError, match="publishes study"):
        await bench.send(north)
    assert study not in bench.parts.sending
    progress.end(None)
    await bench.send(north)


async def test_nonsense_is_refused(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    with pytest.raises(MalformedMessageError, match="not a Study Instance UID"):
        await bench.send(north, "1.2.*")
    await bench.send(north)
    one = record(bench.parts, UID)
    with pytest.raises(MalformedMessageError, match="not of this study"):
        await bench.report(north, evolve(one, uid="1.2.4"))
    with pytest.raises(MalformedMessageError, match="above 0"):
        await bench.report(north, one, 0)
    query = SentReport(7, one.study.raw, 1, False, encode_entry(Tombstone(one.study)))
    with pytest.raises(MalformedMessageError, match="not of this study"):
        await bench.service.report(north.address, query)
    assert not bench.listed


async def test_who_may_read_it(bench: Bench) -> None:
    """The sender's own studies are its own, whatever its rule for reading says; and so is to a
    member what is addressed to it."""
    north, _ = await joined(bench.ground, "North", read="none")
    south, _ = await joined(bench.ground, "South")
    east, _ = await joined(bench.ground, "East", read="none")
    west, _ = await joined(bench.ground, "West", read="none")
    await bench.send(north)
    one = record(bench.parts, UID)
    await bench.report(north, one)
    query = StudyQuery(7, one.study.raw, "get")
    await bench.ground.database.run(
        lambda c: address(c, one.study, [west.address], STAT, sender=None, actor="admin")
    )
    for member in (north, south, west):
        grant = await bench.grants.study(member.address, query)
        assert isinstance(grant, StudyGrant)
        assert grant.wrapped_key
    with pytest.raises(ForbiddenError):
        await bench.grants.study(east.address, query)
    assert not bench.publisher.staged


async def test_what_is_finished_without_a_member_is_not_its_own_any_more(bench: Bench) -> None:
    north, _ = await joined(bench.ground, "North")
    await bench.send(north)
    await bench.ground.database.run(lambda c: adopt_studies(c, north.address))
    with pytest.raises(ForbiddenError, match="finished without this member"):
        await bench.send(north)
    with pytest.raises(ForbiddenError, match="finished without this member"):
        await bench.report(north, record(bench.parts, UID))
