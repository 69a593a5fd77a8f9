"""A scanner (pynetdicom as it is) stores in a spool, asks whether that is safe, and is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import define, field

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.commitment import (
    CommitmentReport,
    CommitmentRequest,
    FailureReason,
    Reference,
)
from p2pacs.ids import StudyId
from peer.accounts.trail import note, read_trail
from peer.commitment.commitments import Commitments, CommitmentTuning
from peer.commitment.copied_studies import CopiedStudies
from peer.commitment.requests import list_requests
from peer.commitment.states import list_states
from peer.db import PeerDatabase, connect
from peer.ingest.intake import take
from peer.spool.records import StudyCommitment
from peer.spool.spool import Spool
from tests.components import HOST
from tests.conformance.instances import make
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.peer.commitment.scanner import Scanner

STUDY = "1.2.826.1"
OF = StudyId(bytes(range(StudyId.size)))
ONE, TWO = (make(STUDY, number=number) for number in (1, 2))
QUICK = CommitmentTuning(first=0.6, look=0.6, retry=0.6)
PATIENCE = 60.0


def named(*instances: EncodedInstance) -> tuple[Reference, ...]:
    return tuple(Reference(one.sop_class_uid, one.sop_instance_uid) for one in instances)


def request(*instances: EncodedInstance, transaction: str = "1.9") -> CommitmentRequest:
    return CommitmentRequest(transaction, named(*instances))


@define
class Home:
    """The peer's part that is tested."""

    folder: Path
    scanner: Scanner = field(factory=Scanner)
    tuning: CommitmentTuning = QUICK
    callers: tuple[str, ...] = ()
    has_address: bool = True
    copies: int = 0
    """That other members prove."""
    spool: Spool = field(init=False)
    database: PeerDatabase = field(init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """The port of its server."""
        destinations = {"CT1": DimseRemote("CT1", HOST, self.scanner.port)}
        with (
            trio.fail_after(PATIENCE),
            closing(Spool(self.folder / "spool", reserve=0)) as self.spool,
            closing(connect(self.folder / "peer.db")) as self.database,
        ):
            commitments = Commitments(
                self.database,
                self.spool,
                CopiedStudies(self.count, 2),
                aet="HOSPITAL",
                destinations=destinations if self.has_address else {},
                note=note,
                callers=self.callers,
                tuning=self.tuning,
            )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(commitments.run)
                async with serving(Scripted(), commitment=commitments.service) as server:
                    yield server.port
                nursery.cancel_scope.cancel()

    async def count(self, study: StudyId, version: int, _wanted: int) -> int:
        assert (study, version) == (OF, 1)
        await trio.lowlevel.checkpoint()
        return self.copies

    def stored(self, *instances: EncodedInstance) -> None:
        for one in instances:
            take(self.spool, one, "CT1")

    def published(self, count: int) -> None:
        self.spool.index.admitted(STUDY, OF)
        self.spool.index.version_out(STUDY, 1)
        self.spool.index.all_out(STUDY, count)

    def in_the_pacs(self, count: int) -> None:
        self.published(count)
        self.spool.safe(STUDY, count)

    def states(self) -> list[StudyCommitment]:
        """What people see of the study."""
        return self.database.transact(partial(list_states, studies=[STUDY])).get(STUDY, [])

    async def is_empty(self) -> None:
        while self.database.transact(list_requests):
            await trio.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "spool").mkdir()
    return Home(tmp_path)


async def test_what_is_in_the_pacs_is_reported_over_a_new_association(home: Home) -> None:
    with home.scanner.listening():
        async with home.running() as port:
            home.stored(ONE, TWO)
            home.in_the_pacs(2)
            assert await home.scanner.ask(port, request(ONE, TWO)) == 0x0000
            reports = await home.scanner.hears()
            await home.is_empty()
            (one,) = home.states()
            trail = home.database.transact(partial(read_trail, most=9))
    assert reports == [("HOSPITAL", CommitmentReport("1.9", named(ONE, TWO)))]
    assert one.answered is not None
    assert one.answered >= one.asked
    assert (one.caller, one.safe, one.failed, one.waiting) == ("CT1", 2, 0, 0)
    assert [(line.actor, line.what, line.detail) for line in trail] == [
        ("CT1", "Storage Commitment answered", "2 safe, 0 failed"),
        ("CT1", "Storage Commitment asked", "2 instances"),
    ]


async def test_who_waits_is_told_over_its_own_association(home: Home) -> None:
    home.has_address = False
    async with home.running() as port:
        home.stored(ONE)
        home.in_the_pacs(1)
        asked = request(ONE, TWO)
        assert await home.scanner.ask(port, asked, stay=True) == 0x0000
        reports = await home.scanner.hears()
        await home.is_empty()
    failed = ((named(TWO)[0], FailureReason.NO_SUCH_INSTANCE),)
    assert reports == [("ours", CommitmentReport("1.9", named(ONE), failed))]


async def test_what_is_on_its_way_is_waited_for(home: Home) -> None:
    with home.scanner.listening():
        async with home.running() as port:
            home.stored(ONE, TWO)
            home.in_the_pacs(1)
            assert await home.scanner.ask(port, request(ONE, TWO)) == 0x0000
            await trio.sleep(3 * QUICK.look)
            assert not home.scanner.reports
            home.in_the_pacs(2)
            reports = await home.scanner.hears()
    assert [one.committed for _, one in reports] == [named(ONE, TWO)]


async def test_what_members_enough_hold_is_committed_without_the_pacs(home: Home) -> None:
    home.copies = 2
    with home.scanner.listening():
        async with home.running() as port:
            home.stored(ONE, TWO)
            home.published(2)
            assert await home.scanner.ask(port, request(ONE, TWO)) == 0x0000
            ((_, report),) = await home.scanner.hears()
    assert report.committed == named(ONE, TWO)


async def test_what_is_not_safe_in_time_has_failed(home: Home) -> None:
    home.tuning = CommitmentTuning(patience=1.5, first=0.5, look=0.5, retry=0.5)
    with home.scanner.listening():
        async with home.running() as port:
            home.stored(ONE, TWO)
            home.in_the_pacs(1)
            assert await home.scanner.ask(port, request(ONE, TWO)) == 0x0000
            ((_, report),) = await home.scanner.hears()
    assert report.committed == named(ONE)
    assert report.failed == ((named(TWO)[0], FailureReason.PROCESSING_FAILURE),)


async def test_a_scanner_that_is_away_is_told_when_it_is_back_also_after_a_restart(
    home: Home,
) -> None:
    async with home.running() as port:
        home.stored(ONE)
        home.in_the_pacs(1)
        assert await home.scanner.ask(port, request(ONE)) == 0x0000
        await trio.sleep(2 * QUICK.first)
        assert home.database.transact(list_requests)
    async with home.running():
        await trio.sleep(2 * QUICK.first)
        with home.scanner.listening():
            assert len(await home.scanner.hears()) == 1
            await home.is_empty()


async def test_a_report_that_is_refused_is_sent_again(home: Home) -> None:
    home.scanner.answer = 0x0110
    with home.scanner.listening():
        async with home.running() as port:
            assert await home.scanner.ask(port, request(ONE)) == 0x0000
            await home.scanner.hears(2)
            assert home.database.transact(list_requests)
            home.scanner.answer = 0x0000
            await home.is_empty()


async def test_who_cannot_be_told_is_not_remembered_for_ever(home: Home) -> None:
    home.tuning = CommitmentTuning(patience=0.5, first=0.2, look=0.2, retry=0.2)
    home.has_address = False
    async with home.running() as port:
        assert await home.scanner.ask(port, request(ONE)) == 0x0000
        await home.is_empty()
    assert not home.scanner.reports


async def test_who_asks_again_is_told_at_once(home: Home) -> None:
    home.tuning = CommitmentTuning(first=0.6, look=1000, retry=1000)
    async with home.running() as port:
        home.stored(ONE)
        home.in_the_pacs(1)
        assert await home.scanner.ask(port, request(ONE)) == 0x0000
        await trio.sleep(5 * home.tuning.first)
        with home.scanner.listening():
            assert await home.scanner.ask(port, request(ONE)) == 0x0000
            assert len(await home.scanner.hears()) == 1


async def test_who_may_not_store_may_not_ask(home: Home) -> None:
    home.callers = ("CT2",)
    async with home.running() as port:
        assert await home.scanner.ask(port, request(ONE)) == 0x0124
        assert await home.scanner.ask(port, request(ONE), aet="CT2") == 0x0000
        assert [one.caller for one in home.database.transact(list_requests)] == ["CT2"]
