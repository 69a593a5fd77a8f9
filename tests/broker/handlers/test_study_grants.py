from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from attrs import evolve, frozen
from pydicom.data import get_testdata_file

from broker.handlers.budgets import Budgets
from broker.handlers.interfaces import Parts
from broker.handlers.study_grants import (
    COMPARED,
    FIRST_VERSION,
    FRESH,
    PATIENCE,
    RECENT,
    StudyGrants,
    record_missing,
)
from broker.members import registry
from broker.trail import audit
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import (
    DatabaseLockedError,
    DeadlineError,
    DiskFullError,
    ForbiddenError,
    LocalError,
    PacsUnreachableError,
    ProtocolError,
    RevokedError,
    StudyNotFoundError,
)
from p2pacs.identity.directory import Role
from p2pacs.publish import PublishProgress
from p2pacs.study.study_index import LeftOut
from p2pacs.wire.messages.messages import (
    GRANT_INFO,
    VIEW,
    Announce,
    Instances,
    InstancesQuery,
    Replicate,
    StudyGrant,
    StudyQuery,
)
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import FakeLinks, FakePublisher, joined, open_parts, record

UID = "1.2.3"


@frozen
class Broker:
    parts: Parts
    study_grants: StudyGrants
    links: FakeLinks
    publisher: FakePublisher
    pacs: FakePacs
    ground: Ground

    def query(self, uid: str = UID, purpose: str = "move") -> StudyQuery:
        return StudyQuery(7, self.parts.studies.id_of(uid).raw, purpose)

    async def trail(self) -> list[tuple[str, str, str, str, str | None]]:
        entries = await self.ground.database.run(audit.read)
        return [(one.what, one.actor, one.detail, one.outcome, one.uid) for one in entries]


@pytest.fixture
async def broker(ground: Ground, tmp_path: Path) -> AsyncIterator[Broker]:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    pacs = FakePacs([EncodedInstance.from_part10(Path(path).read_bytes())])
    async with open_parts(ground, tmp_path, pacs) as parts:
        links, publisher = FakeLinks(), FakePublisher(parts.studies, parts.store)
        study_grants = StudyGrants(parts, links, publisher, Budgets())
        parts.catalogue.upsert([record(parts)])
        yield Broker(parts, study_grants, links, publisher, pacs, ground)


async def test_a_hospital_gets_key_root_and_holders_and_the_study_is_staged(
    broker: Broker,
) -> None:
    north, box = await joined(broker.ground, "North")
    replica, _ = await joined(broker.ground, "R1", role=Role.REPLICA)
    idle, _ = await joined(broker.ground, "R2", role=Role.REPLICA)
    root, segment = await broker.publisher.publish(UID, broker.ground.key)
    study = broker.parts.studies.id_of(UID)
    held = Announce(study.raw, 1, held=True, complete=True)
    broker.parts.holders.announce(replica.address, held)
    broker.links.linked = [north.address, replica.address, idle.address]
    grant = await broker.study_grants.study(north.address, broker.query())
    assert isinstance(grant, StudyGrant)
    assert (grant.id, grant.root, grant.segment) == (7, root, segment)
    assert grant.holders == [replica.address.raw]
    key = await broker.parts.studies.ensure(UID)
    assert box.open(grant.wrapped_key, GRANT_INFO + study.raw) == key
    assert broker.publisher.staged == [UID]
    assert broker.links.told == [(idle.address, Replicate(study.raw))]
    assert await broker.trail() == [("study granted", "North", "move", "done", UID)]


async def test_a_replica_gets_no_key_and_stages_nothing_anew(broker: Broker) -> None:
    replica, _ = await joined(broker.ground, "R1", role=Role.REPLICA, read="none")
    broker.links.linked = [replica.address]
    root, _ = await broker.publisher.publish(UID, broker.ground.key)
    grant = await broker.study_grants.study(replica.address, broker.query(purpose="replicate"))
    assert isinstance(grant, StudyGrant)
    assert (grant.wrapped_key, grant.root) == (b"", root)
    assert broker.publisher.staged == []
    assert broker.links.told == []
    assert await broker.trail() == [("study replicated blindly", "R1", "replicate", "done", UID)]


async def test_a_replica_takes_a_recycled_study_from_who_holds_it(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    """However often it tries; the broker stays without it, unless nobody gives it for long."""
    replica, _ = await joined(broker.ground, "R1", role=Role.REPLICA, read="none")
    north, _ = await joined(broker.ground, "North")
    await broker.publisher.publish(UID, broker.ground.key)
    study = broker.parts.studies.id_of(UID)
    await broker.parts.store.drop(study)
    held = Announce(study.raw, 1, held=True, complete=True)
    broker.parts.holders.announce(north.address, held)
    query = broker.query(purpose="replicate")
    for _ in range(5):
        grant = await broker.study_grants.study(replica.address, query)
        assert isinstance(grant, StudyGrant)
        assert (grant.root, grant.holders) == (b"", [north.address.raw])
        assert broker.publisher.staged == []
        await trio.sleep(60)
    await trio.sleep(PATIENCE)
    await broker.study_grants.study(replica.address, query)
    assert broker.publisher.staged == [UID], "a word alone counts for nothing"


@pytest.mark.parametrize("held", ["by nobody", "in part", "by itself"])
async def test_a_recycled_study_is_published_anew_for_a_replica_if_nobody_has_it(
    broker: Broker, held: str
) -> None:
    replica, _ = await joined(broker.ground, "R1", role=Role.REPLICA, read="none")
    north, _ = await joined(broker.ground, "North")
    await broker.publisher.publish(UID, broker.ground.key)
    study = broker.parts.studies.id_of(UID)
    await broker.parts.store.drop(study)
    if held != "by nobody":
        whole = held == "by itself"
        member = replica if whole else north
        news = Announce(study.raw, 1, held=True, complete=whole)
        broker.parts.holders.announce(member.address, news)
    await broker.study_grants.study(replica.address, broker.query(purpose="replicate"))
    assert broker.publisher.staged == [UID]


async def test_what_the_rule_does_not_allow_is_refused_and_written_down(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North", read="Modality=MR")
    with pytest.raises(ForbiddenError, match=r"North may not read study [0-9a-f]{8}"):
        await broker.study_grants.study(north.address, broker.query())
    with pytest.raises(ForbiddenError):
        await broker.study_grants.instances(north.address, InstancesQuery(1, broker.query().study))
    assert broker.publisher.staged == []
    assert [line[:4] for line in await broker.trail()] == [
        ("study granted", "North", "list", "refused"),
        ("study granted", "North", "move", "refused"),
    ]


async def test_unknown_studies_and_revoked_members(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    with pytest.raises(StudyNotFoundError):
        await broker.study_grants.study(north.address, broker.query("1.2.4"))
    await broker.ground.database.run(lambda c: registry.revoke(c, north.address))
    with pytest.raises(RevokedError):
        await broker.study_grants.study(north.address, broker.query())


async def test_a_pacs_that_is_away_is_named_unless_the_study_is_published(
    broker: Broker,
) -> None:
    north, _ = await joined(broker.ground, "North")
    broker.publisher.error = PacsUnreachableError("no answer")
    with pytest.raises(PacsUnreachableError):
        await broker.study_grants.study(north.address, broker.query())
    assert await broker.trail() == []


@pytest.mark.parametrize("error", [DiskFullError, DatabaseLockedError])
async def test_who_asks_hears_at_once_that_the_broker_has_no_room(
    broker: Broker, error: type[LocalError]
) -> None:
    """Before anything is out, and for a study of which a first version is."""
    north, _ = await joined(broker.ground, "North")
    broker.publisher.error = error("the store has reached its capacity")
    with pytest.raises(error, match=r"the broker cannot publish study .*: the store has reached"):
        await broker.study_grants.study(north.address, broker.query())
    await broker.publisher.publish(UID, broker.ground.key)
    with pytest.raises(error, match="the broker cannot publish"):
        await broker.study_grants.study(north.address, broker.query())
    broker.publisher.error = None
    broker.publisher.whole = True
    grant = await broker.study_grants.study(north.address, broker.query())
    assert isinstance(grant, StudyGrant)
    assert grant.root
    assert broker.publisher.staged == [UID] * 3, "there may be room each time"
    await broker.study_grants.study(north.address, broker.query())
    assert broker.publisher.staged == [UID] * 3, "it is out now"


async def test_a_study_that_failed_and_comes_no_further_is_told_why(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    """The part that does not fit may take long to come from the PACS: no wait for ever."""
    north, _ = await joined(broker.ground, "North")
    await broker.publisher.publish(UID, broker.ground.key)
    broker.publisher.published = 3
    broker.publisher.error = DiskFullError("the store has reached its capacity")
    await broker.study_grants.study(north.address, broker.query())
    broker.publisher.error, broker.publisher.never = None, True
    began = trio.current_time()
    with pytest.raises(DiskFullError, match=r"the broker cannot publish study .*: the store has"):
        await broker.study_grants.study(north.address, broker.query())
    assert trio.current_time() - began == pytest.approx(FIRST_VERSION)


async def test_a_pacs_that_hangs_is_named_to_who_asks_again(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    """It fails after longer than anybody is kept waiting, so nobody who waited would hear of it."""
    north, _ = await joined(broker.ground, "North")
    await broker.parts.studies.ensure(UID)
    broker.publisher.never = True
    await broker.study_grants.study(north.address, broker.query())
    broker.publisher.publications[broker.parts.studies.id_of(UID)].end(DeadlineError("hung"))
    with pytest.raises(PacsUnreachableError, match=r"^hung"):
        await broker.study_grants.study(north.address, broker.query())
    broker.publisher.publications[broker.parts.studies.id_of(UID)].end(DeadlineError("hung"))
    await trio.sleep(RECENT)
    grant = await broker.study_grants.study(north.address, broker.query())
    assert isinstance(grant, StudyGrant), "that was long ago: it may be slow now"


async def test_a_deadline_of_the_pacs_is_none_of_the_brokers(broker: Broker) -> None:
    """Members ask others, where the broker itself does not answer."""
    north, _ = await joined(broker.ground, "North")
    broker.publisher.error = DeadlineError("hung")
    with pytest.raises(PacsUnreachableError, match="hung"):
        await broker.study_grants.study(north.address, broker.query())


async def test_who_may_read_is_looked_at_again_after_the_wait(
    broker: Broker, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study is of somebody else by then, as its publication shows."""
    north, _ = await joined(broker.ground, "North", read="PatientID=MINE")
    known = record(broker.parts)
    of = {name: {tag("PatientID"): entry("LO", name)} for name in ("MINE", "OTHER")}
    broker.parts.catalogue.upsert([evolve(known, attributes=known.attributes | of["MINE"])])
    stage = broker.publisher.stage

    def corrected(uid: str, *, asked: bool = False) -> PublishProgress:
        broker.parts.catalogue.upsert([evolve(known, attributes=known.attributes | of["OTHER"])])
        return stage(uid, asked=asked)

    monkeypatch.setattr(broker.publisher, "stage", corrected)
    with pytest.raises(ForbiddenError):
        await broker.study_grants.study(north.address, broker.query())
    assert [line[3] for line in await broker.trail()] == ["refused"]


async def test_a_first_version_that_takes_long_comes_as_news(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    north, _ = await joined(broker.ground, "North")
    await broker.parts.studies.ensure(UID)
    broker.publisher.never = True
    began = trio.current_time()
    grant = await broker.study_grants.study(north.address, broker.query())
    assert trio.current_time() - began == pytest.approx(FIRST_VERSION)
    assert isinstance(grant, StudyGrant)
    assert grant.root == b""
    assert grant.wrapped_key


async def test_the_pacs_is_asked_again_only_after_a_while(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    north, _ = await joined(broker.ground, "North")
    await broker.publisher.publish(UID, broker.ground.key)
    for _ in range(3):
        await broker.study_grants.study(north.address, broker.query())
    assert broker.publisher.staged == [UID]
    await trio.sleep(FRESH)
    await broker.study_grants.study(north.address, broker.query())
    assert broker.publisher.staged == [UID, UID]


async def test_a_publication_is_a_comparison_until_its_end(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    north, _ = await joined(broker.ground, "North")
    await broker.publisher.publish(UID, broker.ground.key)
    await broker.study_grants.study(north.address, broker.query())
    (publication,) = broker.publisher.publications.values()
    await trio.sleep(10 * FRESH)
    publication.end(None)
    await broker.study_grants.study(north.address, broker.query())
    assert broker.publisher.staged == [UID]
    await trio.sleep(FRESH)
    await broker.study_grants.study(north.address, broker.query())
    assert broker.publisher.staged == [UID, UID]


async def test_a_study_that_was_stored_again_is_compared_at_once(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    await broker.publisher.publish(UID, broker.ground.key)
    parts = broker.parts

    def told(count: int, version: int) -> None:
        known = record(parts)
        counted = {tag("NumberOfStudyRelatedInstances"): entry("IS", str(count))}
        attributes = known.attributes | counted
        parts.catalogue.upsert([evolve(known, attributes=attributes, series=(), version=version)])

    for count, version, times in ((3, 2, 1), (3, 2, 1), (6, 2, 2), (6, 0, 3), (6, 0, 3)):
        told(count, version)
        await broker.study_grants.study(north.address, broker.query())
        assert broker.publisher.staged == [UID] * times


async def test_who_asks_hears_that_the_pacs_does_not_have_it_any_more(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    await broker.publisher.publish(UID, broker.ground.key)
    broker.publisher.published = 1
    broker.publisher.error = StudyNotFoundError("the central PACS does not have this study")
    with pytest.raises(StudyNotFoundError, match="does not have"):
        await broker.study_grants.study(north.address, broker.query())


@pytest.mark.parametrize("seconds", [COMPARED / 2, 10 * COMPARED])
async def test_a_grant_waits_for_the_comparison_with_the_pacs_but_not_for_long(
    broker: Broker, autojump_clock: trio.testing.MockClock, seconds: float
) -> None:
    north, _ = await joined(broker.ground, "North")
    broker.publisher.comparing = True
    answered = list[float]()

    async def ask() -> None:
        began = trio.current_time()
        await broker.study_grants.study(north.address, broker.query())
        answered.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(seconds)
        (publication,) = broker.publisher.publications.values()
        publication.compared()
    assert answered == [pytest.approx(min(seconds, COMPARED))]


async def test_who_opens_a_study_in_a_viewer_does_not_wait_for_the_comparison(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    north, _ = await joined(broker.ground, "North")
    broker.publisher.comparing = True
    began = trio.current_time()
    query = evolve(broker.query(), purpose=VIEW)
    assert await broker.study_grants.study(north.address, query)
    assert trio.current_time() == began


async def test_who_opens_what_is_out_in_a_viewer_waits_for_no_publication(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    """It is compared all the same, after the answer was made; of what is not out a version is
    waited for."""
    north, _ = await joined(broker.ground, "North")
    query = evolve(broker.query(), purpose=VIEW)
    broker.publisher.never = True
    began = trio.current_time()
    await broker.study_grants.study(north.address, query)
    assert trio.current_time() - began == FIRST_VERSION
    root, _ = await broker.publisher.publish(UID, broker.ground.key)
    await trio.sleep(FRESH)
    began = trio.current_time()
    grant = await broker.study_grants.study(north.address, query)
    assert isinstance(grant, StudyGrant)
    assert (grant.root, trio.current_time()) == (root, began)
    assert broker.publisher.staged == [UID, UID]
    assert [what for what, *_ in await broker.trail()] == ["study granted"] * 2


async def test_a_study_that_turns_out_to_be_gone_while_it_is_compared_is_not_granted(
    broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    north, _ = await joined(broker.ground, "North")
    broker.publisher.comparing = True
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(StudyNotFoundError, match="deleted"):
                await broker.study_grants.study(north.address, broker.query())

        nursery.start_soon(ask)
        await trio.sleep(COMPARED / 2)
        (publication,) = broker.publisher.publications.values()
        publication.end(StudyNotFoundError("deleted in the PACS"))
    assert await broker.trail() == []


async def test_instances_as_the_pacs_lists_them(broker: Broker) -> None:
    north, _ = await joined(broker.ground, "North")
    replica, _ = await joined(broker.ground, "R1", role=Role.REPLICA)
    [uid] = [one async for one in _uids(broker.pacs)]
    broker.parts.catalogue.upsert([record(broker.parts, uid)])
    query = InstancesQuery(9, broker.parts.studies.id_of(uid).raw)
    listed = await broker.study_grants.instances(north.address, query)
    assert isinstance(listed, Instances)
    assert (listed.id, len(listed.series), listed.more) == (9, 1, False)
    with pytest.raises(ProtocolError, match="blind"):
        await broker.study_grants.instances(replica.address, query)


async def _uids(pacs: FakePacs) -> AsyncIterator[str]:
    from broker.pacs.adapter import DateSpan  # noqa: PLC0415
    from p2pacs.dataset.json_model import text  # noqa: PLC0415

    async for attributes in pacs.studies(DateSpan()):
        yield text(attributes, "StudyInstanceUID")


async def test_what_is_missing_is_in_the_trail_by_count_and_reason(broker: Broker) -> None:
    progress = PublishProgress(broker.parts.studies.id_of(UID), UID)
    await record_missing(broker.ground.database, progress)
    assert await broker.trail() == []
    progress.missing = LeftOut(("1.2.9",), 1, "2: its file is lost")
    await record_missing(broker.ground.database, progress)
    progress.missing = LeftOut()
    await record_missing(broker.ground.database, progress)
    assert await broker.trail() == [
        ("study published", "-", "nothing is missing any more", audit.DONE, UID),
        ("study published", "-", "2 instances are missing; 2: its file is lost", audit.FAILED, UID),
    ]
