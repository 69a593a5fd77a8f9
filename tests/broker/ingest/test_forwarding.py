from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve, frozen
from trio.testing import MockClock

from broker.database.db import BrokerDatabase
from broker.ingest.forwarding import Forwarding, ForwardingParts
from broker.ingest.sending import SendingStudies
from broker.ingest.sent import (
    SentStudy,
    adopt_studies,
    begin_sending,
    find_sent,
    note_priority,
    note_version,
)
from broker.ingest.storing import DecodeLarge
from broker.trail import audit
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.errors import LinkClosedError, PacsRefusedError, PacsUnreachableError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.study.gathered import Gathered, GatheredBlob, decode_blobs, decode_gathered
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import Manifest, ManifestQuery, Query, Reply
from tests.broker.fakes import FakePacs, in_memory
from tests.broker.publish.bench import SIGNING, Bench, bench
from tests.conformance.instances import make

UID = "1.2.1"
MEMBER = VirtualAddress(b"\xfd" + bytes(15))
STUDY = [make(UID, series, number) for series in (1, 2) for number in (1, 2)]


class CoercingPacs(FakePacs):
    """A PACS that changes what it is given, or takes not all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.coerces = False
        self.refuses: set[str] = set()

    async def store(self, instances: Iterable[EncodedInstance | LargeInstance]) -> None:
        for one in map(in_memory, instances):
            if one.sop_instance_uid in self.refuses:
                raise PacsRefusedError("no such SOP Class")
            changed = one.data.replace(b"Sch\xe4del", b"Sch\xe4fer")
            await super().store([evolve(one, data=changed) if self.coerces else one])


class Fetched:
    """Downloads that are complete as soon as they begin: all is here."""

    def __init__(self) -> None:
        self.transfers: dict[StudyId, Transfer] = {}
        self.asked: list[tuple[list[VirtualAddress], bytes | None]] = []
        self.stall = False
        """Nobody gives anything."""

    def fetch(
        self, study: StudyId, holders: Iterable[VirtualAddress] = (), root: bytes | None = None
    ) -> Transfer:
        self.asked.append((list(holders), root))
        transfer = self.transfers[study] = Transfer(study, Availability((), b""))
        if not self.stall:
            transfer.end(None)
        return transfer


@frozen
class Home:
    """A forwarding around fakes, of a study that is in the broker's store."""

    made: Bench
    pacs: CoercingPacs
    database: BrokerDatabase
    sending: SendingStudies
    downloads: Fetched
    forwarding: Forwarding
    stored: list[tuple[str, bool]]

    @property
    def study(self) -> StudyId:
        return self.made.keys.id_of(UID)

    async def sent(self) -> SentStudy:
        found = await self.database.run(lambda c: find_sent(c, self.study))
        assert found is not None
        return found

    async def until_home(self) -> None:
        while (await self.sent()).sending:
            await trio.sleep(1)


@pytest.fixture
async def home(tmp_path: Path, database: BrokerDatabase) -> AsyncIterator[Home]:
    async with opened(tmp_path, database) as made:
        yield made


@asynccontextmanager
async def opened(
    folder: Path, database: BrokerDatabase, study: Iterable[EncodedInstance] = STUDY
) -> AsyncIterator[Home]:
    pacs, downloads, sending = CoercingPacs(), Fetched(), SendingStudies()
    stored: list[tuple[str, bool]] = []

    async def decode(gathered: Gathered) -> EncodedInstance:
        return await trio.to_thread.run_sync(decode_gathered, gathered)

    async def decode_some(blobs: tuple[GatheredBlob, ...]) -> bytes:
        return await trio.to_thread.run_sync(decode_blobs, blobs)

    async def ask(
        member: VirtualAddress,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        assert member == MEMBER
        assert isinstance(query, ManifestQuery)
        await trio.lowlevel.checkpoint()
        if query.newer_than:
            return Manifest(query.id, b"")
        raise LinkClosedError("its line is cut")

    async def no_room() -> bool:
        raise AssertionError

    async with bench(folder, *study) as made:
        progress = await made.publish(UID)
        study, version = progress.study, progress.version

        def begin(connection: object) -> None:
            begin_sending(connection, study, UID, MEMBER)  # type: ignore[arg-type]
            note_version(connection, study, version, complete=True)  # type: ignore[arg-type]

        await database.run(begin)
        parts = ForwardingParts(
            database=database,
            store=made.store,
            verifier=SIGNING.public,
            pacs=pacs,
            decode=decode,
            decode_large=DecodeLarge(decode_some, folder),
            studies=made.keys,
            sending=sending,
            downloads=downloads,
            holders=lambda _: [],
            ask=ask,
            make_room=no_room,
            stored=lambda uid, changed: stored.append((uid, changed)),
        )
        yield Home(made, pacs, database, sending, downloads, Forwarding(parts), stored)


@asynccontextmanager
async def running(home: Home) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(home.forwarding.run)
        yield
        nursery.cancel_scope.cancel()


def by_uid(instances: Iterable[EncodedInstance]) -> dict[str, EncodedInstance]:
    return {one.sop_instance_uid: one for one in instances}


async def test_what_was_not_home_comes_home_at_the_next_start(
    home: Home, autojump_clock: MockClock
) -> None:
    async with running(home):
        assert home.study in home.sending
        await home.until_home()
    assert home.pacs.held == by_uid(STUDY)
    assert home.stored == [(UID, False)]
    assert home.study not in home.sending
    assert (await home.sent()).stored == (await home.sent()).version


async def test_a_large_one_comes_home_out_of_a_file_without_a_name(
    tmp_path: Path, database: BrokerDatabase, autojump_clock: MockClock
) -> None:
    small, large = make(UID), make(UID, 1, 2, size=3072)
    assert len(large.data) > WHOLE_BYTES
    async with opened(tmp_path, database, [large, small]) as home, running(home):
        before = set(tmp_path.iterdir())
        home.pacs.refuses = {large.sop_instance_uid}
        await trio.sleep(100)
        assert home.pacs.held == by_uid([small])
        home.pacs.refuses = set()
        await home.until_home()
        assert home.pacs.held == by_uid([small, large])
        assert set(tmp_path.iterdir()) == before


async def test_what_the_pacs_has_already_is_not_stored_again(
    home: Home, autojump_clock: MockClock
) -> None:
    home.pacs.add(*STUDY[:3])
    async with running(home):
        await home.until_home()
    assert home.pacs.stored == STUDY[3:]


async def test_a_pacs_that_is_away_gets_it_later(home: Home, autojump_clock: MockClock) -> None:
    home.pacs.error = PacsUnreachableError("away")
    assert home.forwarding.why(home.study) == ""
    async with running(home):
        await trio.sleep(300)
        assert (await home.sent()).sending
        assert home.forwarding.why(home.study) == "away"
        assert home.forwarding.is_busy(home.study)
        home.pacs.error = None
        await home.until_home()
        await trio.sleep(1)
        assert home.forwarding.why(home.study) == ""
    assert home.pacs.held == by_uid(STUDY)


async def test_one_that_is_not_taken_keeps_no_other_back(
    home: Home, autojump_clock: MockClock
) -> None:
    home.pacs.refuses = {STUDY[1].sop_instance_uid}
    async with running(home):
        await trio.sleep(100)
        assert home.pacs.held == by_uid([STUDY[0], *STUDY[2:]])
        assert (await home.sent()).sending
        home.pacs.refuses = set()
        await home.until_home()
    assert home.pacs.held == by_uid(STUDY)


async def test_a_pacs_that_changes_what_it_is_given_is_noticed(
    home: Home, autojump_clock: MockClock
) -> None:
    home.pacs.coerces = True
    async with running(home):
        await home.until_home()
    assert home.stored == [(UID, True)]


async def test_a_pacs_that_says_yes_and_keeps_nothing_is_noticed(
    home: Home, autojump_clock: MockClock
) -> None:
    home.pacs.lost = {STUDY[0].sop_instance_uid}
    async with running(home):
        await trio.sleep(100)
        assert (await home.sent()).sending
        assert not home.stored


async def test_how_much_the_broker_holds(home: Home, autojump_clock: MockClock) -> None:
    assert await home.forwarding.held(home.study) == (await home.sent()).version
    assert await home.forwarding.held(StudyId(bytes(16))) == 0


async def test_a_study_whose_sender_is_gone_is_finished_without_it(
    home: Home, autojump_clock: MockClock
) -> None:
    """Also while the broker waits for what only the sender has."""
    home.pacs.error = PacsUnreachableError("away")
    async with running(home):
        await trio.sleep(100)
        home.pacs.error = None
        home.downloads.stall = True
        home.downloads.fetch(home.study)
        await trio.sleep(100)
        assert not home.pacs.held
        await home.database.run(lambda c: adopt_studies(c, MEMBER))
        while home.study in home.sending:
            await trio.sleep(1)
    assert home.pacs.held == by_uid(STUDY)
    assert home.stored == [(UID, True)]
    assert await home.database.run(lambda c: find_sent(c, home.study)) is None
    (entry,) = await home.database.run(audit.read)
    assert (entry.what, entry.outcome) == ("study adopted", audit.DONE)
    assert entry.detail == "4 instances are in the central PACS"


async def test_what_the_pacs_does_not_commit_to_is_stored_again_and_read_back(
    home: Home, autojump_clock: MockClock
) -> None:
    first = STUDY[0].sop_instance_uid
    home.pacs.uncommitted = {first}
    async with running(home):
        await trio.sleep(100)
        assert (await home.sent()).sending
        assert {one.sop_instance_uid for one in home.pacs.stored[len(STUDY) :]} == {first}
        assert not home.pacs.sent  # nothing is read back of what is not promised
        home.pacs.uncommitted = set()
        await home.until_home()
    assert sorted(home.pacs.sent) == sorted(by_uid(STUDY))
    assert home.pacs.asked.count(STUDY[1].sop_instance_uid) == 1  # that one was promised


async def test_what_is_expected_is_asked_for_before_anything_is_out(home: Home) -> None:
    home.downloads.stall = True
    home.forwarding.expected(home.study, MEMBER)
    assert home.downloads.asked == [([MEMBER], None)]
    assert not home.forwarding.is_busy(StudyId(bytes(16)))
    home.downloads.transfers[home.study].cancel()  # nothing came
    assert not home.pacs.stored


async def test_it_is_fetched_as_urgently_as_its_sender_says(
    home: Home, autojump_clock: MockClock
) -> None:
    await home.database.run(lambda c: note_priority(c, home.study, Priority.STAT))
    home.downloads.stall = True
    home.forwarding.expected(home.study, MEMBER)
    async with running(home):
        await trio.sleep(1)
        transfer = home.downloads.transfers[home.study]
        assert transfer.priority is Priority.STAT
        home.forwarding.urged(home.study, Priority.PREFETCH)
        assert transfer.priority is Priority.PREFETCH
        home.forwarding.urged(StudyId(bytes(16)), Priority.STAT)  # nothing of it is fetched
