from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgpack
import pytest
import trio
from attrs import frozen

from broker.database.db import now
from broker.handlers import feed
from broker.handlers.budgets import BudgetTuning
from broker.handlers.interfaces import Parts
from broker.handlers.member_news import MemberNews
from broker.handlers.reach import MemberTrials
from broker.handlers.services import BrokerServices
from broker.members import registry, traffic
from broker.trail import audit
from p2pacs.catalogue.feed import decode_entry
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import BusyError, MalformedMessageError, ProtocolError
from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Query, Reply
from p2pacs.wire.messages.received import HOUR, Received
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import FakeLinks, FakeProver, FakePublisher, joined, open_parts, record


@frozen
class Broker:
    parts: Parts
    services: BrokerServices
    table: Services
    links: FakeLinks
    ground: Ground

    async def ask(self, member: VirtualAddress, query: Query) -> Reply:
        return await self.table.queries[type(query)](member, query)


async def _nobody(_endpoint: str, _member: MemberRecord) -> bool:
    return False


@pytest.fixture
async def broker(ground: Ground, tmp_path: Path) -> AsyncIterator[Broker]:
    async with open_parts(ground, tmp_path, FakePacs()) as parts:
        links, table = FakeLinks(), Services()
        publisher = FakePublisher(parts.studies, parts.store)
        news = MemberNews(links, parts.book)
        services = BrokerServices(
            parts,
            links,
            publisher,
            FakeProver(b"1" * 16),
            news,
            trials=MemberTrials(parts.book, _nobody),
            rules_every=0.01,
        )
        services.enter(table)
        yield Broker(parts, services, table, links, ground)


async def test_the_catalogue_as_a_member_may_read_it_with_keys_written_down_once(
    broker: Broker,
) -> None:
    north, box = await joined(broker.ground, "North", read="Modality=CT")
    replica, _ = await joined(broker.ground, "R1", role=Role.REPLICA)
    key = await broker.parts.studies.ensure("1.1")
    broker.parts.catalogue.upsert(
        [
            record(broker.parts, "1.1", version=3),
            record(broker.parts, "1.2", "MR", version=1),
            record(broker.parts, "1.3"),
        ]
    )
    for _ in range(2):
        page = await broker.ask(north.address, messages.CatalogueQuery(5, 0))
        assert isinstance(page, messages.CataloguePage)
        assert page.reset
        entries = [decode_entry(raw) for raw in page.entries]
        records = [one for one in entries if isinstance(one, StudyRecord)]
        assert [one.uid for one in records] == ["1.1", "1.3"]
        info = messages.GRANT_INFO + records[0].study.raw
        assert box.open(records[0].wrapped_key, info) == key
        assert records[1].wrapped_key == b""
    blind = await broker.ask(replica.address, messages.CatalogueQuery(6, 42))
    assert blind == messages.CataloguePage(6, [], 42, more=False, reset=False)
    entries_kept = await broker.ground.database.run(audit.read)
    assert [(one.what, one.actor, one.uid) for one in entries_kept] == [
        ("key entrusted with the catalogue", "North", "1.1")
    ]


async def test_reports_are_kept_once_with_the_studys_uid(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    await broker.parts.studies.ensure("1.1")
    fields = {"caller": "WS1", "purpose": "move", "time": now()}
    known = msgpack.packb({**fields, "study": broker.parts.studies.id_of("1.1").raw})
    unknown = msgpack.packb({**fields, "study": b"?" * 16})
    for _ in range(2):
        reply = await broker.ask(north.address, messages.AuditReport(4, [known, unknown]))
        assert reply == messages.AuditKept(4)
    entries = await broker.ground.database.run(audit.read)
    assert [(one.what, one.actor, one.detail, one.uid) for one in entries] == [
        ("study read", "North", "move by WS1", None),
        ("study read", "North", "move by WS1", "1.1"),
    ]
    with pytest.raises(MalformedMessageError):
        await broker.ask(north.address, messages.AuditReport(4, [b"?"]))


async def test_what_a_member_received_is_counted_once(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    hour, of_study = now() // HOUR * HOUR, StudyId(b"?" * 16)
    told = Received(hour, of_study, broker.parts.address, 500, now()).packed()
    read = msgpack.packb({"study": b"?" * 16, "caller": "W", "purpose": "move", "time": now()})
    for _ in range(2):
        reply = await broker.ask(north.address, messages.AuditReport(4, [told, read]))
        assert reply == messages.AuditKept(4)
    flows = await broker.ground.database.run(
        lambda c: traffic.flows(c, traffic.Step.HOUR, hour, hour + 1)
    )
    assert flows == [traffic.Flow(hour, north.address.raw, broker.parts.address.raw, 500)]
    assert len(await broker.ground.database.run(lambda c: audit.read(c, member="North"))) == 1
    with pytest.raises(MalformedMessageError):
        await broker.ask(north.address, messages.AuditReport(4, [told[:-1]]))


async def test_a_flood_of_reports_ends_at_the_members_budget(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    south, _ = await joined(broker.ground, "South")
    records = [
        msgpack.packb({"study": b"?" * 16, "caller": "W", "purpose": "move", "time": now() + n})
        for n in range(100)
    ]
    reports = [messages.AuditReport(4, records)] * int(BudgetTuning().records / 100 + 1)
    for report in reports:
        await broker.ask(north.address, report)
    with pytest.raises(BusyError, match="again in"):
        await broker.ask(north.address, reports[0])
    await broker.ask(south.address, messages.AuditReport(4, records))


async def test_who_fetches_hears_of_new_holders_until_they_are_gone(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    south, _ = await joined(broker.ground, "South")
    handler = broker.table.news[messages.Announce]
    study = b"1" * 16
    east, _ = await joined(broker.ground, "East")
    handler(north.address, messages.Announce(study, 0, held=True, complete=False))
    handler(south.address, messages.Announce(study, 1, held=True, complete=True))
    handler(east.address, messages.Announce(study, 0, held=True, complete=False))
    assert broker.links.told == []
    async with trio.open_nursery() as nursery:
        await nursery.start(broker.services.run)
        await _until(lambda: _told(broker, 2))
        nursery.cancel_scope.cancel()
    assert broker.links.told == [
        (north.address, messages.HoldersNews(study, [south.address.raw, east.address.raw])),
        (east.address, messages.HoldersNews(study, [north.address.raw])),
    ]
    assert broker.table.unlinked is not None
    broker.table.unlinked(south.address)
    assert broker.parts.holders.of(broker.parts.studies.id_of("x")) == []
    with pytest.raises(ProtocolError):
        handler(north.address, messages.Replicate(study))


async def test_every_question_goes_to_its_own_answer(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    for kind, handler in broker.table.queries.items():
        with pytest.raises(ProtocolError, match=f"not a {kind.__name__}"):
            await handler(north.address, messages.Ping(1))


async def _told(broker: Broker, count: int) -> bool:
    await trio.sleep(0.01)
    return len(broker.links.told) >= count


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    with trio.fail_after(20):
        while not await condition():
            await trio.sleep(0.01)


async def test_links_are_written_down_and_a_changed_rule_is_told(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")

    async def state() -> str:
        member = await broker.ground.database.run(lambda c: registry.get_member(c, north.address))
        return member.state(now())

    async def linked() -> bool:
        return await state() == "linked"

    async def unlinked() -> bool:
        return await state() == "joined"

    async def told() -> bool:
        return bool(broker.links.told_roles)

    assert broker.table.linked is not None
    assert broker.table.unlinked is not None
    async with trio.open_nursery() as nursery:
        await nursery.start(broker.services.run)
        broker.table.linked(north.address)
        await _until(linked)
        broker.table.unlinked(north.address)
        await _until(unlinked)
        assert broker.links.told_roles == []
        await broker.ground.database.run(lambda c: registry.change_rule(c, north.address, "none"))
        await _until(told)
        until = feed.position(broker.parts.catalogue.seq, 0)
        assert broker.links.told_roles == [(messages.CatalogueNews(until), [Role.HOSPITAL])]
        broker.table.linked(north.address)
        await _until(linked)
        nursery.cancel_scope.cancel()
    assert await state() == "joined"


async def test_certificates_are_renewed_over_a_link(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    with pytest.raises(MalformedMessageError):
        await broker.ask(north.address, messages.RenewQuery(1, b"no request"))


@pytest.mark.parametrize(("study", "whole"), [(b"1" * 16, True), (b"2" * 16, False)])
async def test_proof_of_a_copy(broker: Broker, study: bytes, whole: bool) -> None:
    north, _ = await joined(broker.ground, "North")
    reply = await broker.ask(north.address, messages.PossessionQuery(3, study, 1, b"", b""))
    assert reply == messages.Possession(3, whole=whole, proof=b"")
