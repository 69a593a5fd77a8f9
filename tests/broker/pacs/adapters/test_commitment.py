"""A PACS (our own server, and pynetdicom as it is) is asked to commit to what it was given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field

from broker.pacs.adapters.commitment import CommitmentPatience, PacsCommitment
from broker.pacs.address import Commitment, DimseAddress
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.commitment import report_commitment
from p2pacs.dimse.commitment import CommitmentReport, CommitmentRequest, FailureReason, Reference
from p2pacs.dimse.server.commitment import CommitmentService
from p2pacs.dimse.server.receiver import StorageReceiver, storage_receiver
from p2pacs.errors import DeadlineError, ForbiddenError, PacsRefusedError, PacsUnreachableError
from p2pacs.units import Endpoint
from tests.components import HOST, free_port
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import CT

ONE, TWO = Reference(CT, "1.2.3"), Reference(CT, "1.2.4")
QUICK = CommitmentPatience(hold=1.5, report=1.5)
PATIENCE = 60.0


@define
class Pacs:
    """Takes requests, and remembers them."""

    asked: list[CommitmentRequest] = field(factory=list)
    refuses: bool = False
    port: int = 0
    service: CommitmentService = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = CommitmentService(self.take)

    def take(self, request: CommitmentRequest, _caller: str) -> None:
        if self.refuses:
            raise ForbiddenError("not you")
        self.asked.append(request)

    def address(self, wish: Commitment | None = None) -> DimseAddress:
        return DimseAddress(DimseRemote("GATEWAY", HOST, self.port), commitment=wish)

    def report(
        self, *committed: Reference, failed: tuple[tuple[Reference, int], ...] = ()
    ) -> CommitmentReport:
        return CommitmentReport(self.asked[-1].transaction, committed, failed)

    async def report_here(self, report: CommitmentReport) -> None:
        """Over the association of the request."""
        while not await trio.to_thread.run_sync(self.service.report, "ME", report):
            await trio.sleep(0.05)

    async def is_asked(self, count: int = 1) -> None:
        while len(self.asked) < count:
            await trio.sleep(0.02)


@pytest.fixture
async def pacs() -> AsyncIterator[Pacs]:
    made = Pacs()
    with trio.fail_after(PATIENCE):
        async with serving(Scripted(), commitment=made.service) as server:
            made.port = server.port
            yield made


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[StorageReceiver, DimseRemote]]:
    where = Endpoint(HOST, free_port())
    async with storage_receiver("ME", where) as receiver:
        yield receiver, DimseRemote("ME", where.host, where.port)


@asynccontextmanager
async def asking(
    commitment: PacsCommitment, *references: Reference
) -> AsyncIterator[list[dict[str, int] | None]]:
    """What is answered, at the end of the block."""
    answers: list[dict[str, int] | None] = []

    async def ask() -> None:
        answers.append(await commitment.ask(references))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        yield answers


async def test_a_report_over_the_association_of_the_request(pacs: Pacs) -> None:
    commitment = PacsCommitment(pacs.address("yes"), "ME", None, patience=QUICK)
    async with asking(commitment, ONE, TWO) as answers:
        await pacs.is_asked()
        report = pacs.report(ONE, failed=((TWO, FailureReason.NO_SUCH_INSTANCE),))
        await pacs.report_here(report)
    assert answers == [{TWO.uid: FailureReason.NO_SUCH_INSTANCE}]


async def test_a_report_over_an_association_of_the_pacs(pacs: Pacs) -> None:
    async with receiving() as (receiver, remote):
        commitment = PacsCommitment(pacs.address(), "ME", receiver.reports, patience=QUICK)
        async with asking(commitment, ONE) as answers:
            await pacs.is_asked()
            await report_commitment(remote, "GATEWAY", pacs.report(ONE))
        assert answers == [{}]
        with pytest.raises(PacsRefusedError, match="0x0115"):  # nobody waits for it any more
            await report_commitment(remote, "GATEWAY", pacs.report(ONE))
        with pytest.raises(PacsRefusedError, match="0x0115"):  # nobody asked
            await report_commitment(remote, "GATEWAY", CommitmentReport("1.2.3", (ONE,)))


async def test_what_a_report_leaves_out_is_not_committed(pacs: Pacs) -> None:
    commitment = PacsCommitment(pacs.address("yes"), "ME", None, patience=QUICK)
    async with asking(commitment, ONE, TWO) as answers:
        await pacs.is_asked()
        await pacs.report_here(pacs.report(ONE))
    assert answers == [{TWO.uid: FailureReason.PROCESSING_FAILURE}]


async def test_who_must_commit_and_reports_late_is_asked_once(pacs: Pacs) -> None:
    async with receiving() as (receiver, remote):
        patience = CommitmentPatience(hold=0.2, report=0.5)
        commitment = PacsCommitment(pacs.address("yes"), "ME", receiver.reports, patience=patience)
        for _ in range(2):
            with pytest.raises(DeadlineError, match="not reported yet"):
                await commitment.ask([ONE, TWO])
        assert len(pacs.asked) == 1
        await report_commitment(remote, "GATEWAY", pacs.report(ONE, TWO))
        assert await commitment.ask([TWO, ONE]) == {}
        assert len(pacs.asked) == 1


async def test_who_must_commit_and_refuses_is_asked_again(pacs: Pacs) -> None:
    commitment = PacsCommitment(pacs.address("yes"), "ME", None, patience=QUICK)
    pacs.refuses = True
    with pytest.raises(PacsRefusedError, match="0x0124"):
        await commitment.ask([ONE])
    pacs.refuses = False
    async with asking(commitment, ONE) as answers:
        await pacs.is_asked()
        await pacs.report_here(pacs.report(ONE))
    assert answers == [{}]


async def test_who_need_not_and_does_not_report_is_not_asked_again(pacs: Pacs) -> None:
    async with receiving() as (receiver, _):
        patience = CommitmentPatience(hold=0.2, report=0.5)
        commitment = PacsCommitment(pacs.address(), "ME", receiver.reports, patience=patience)
        assert await commitment.ask([ONE]) is None
        assert await commitment.ask([ONE]) is None
    assert len(pacs.asked) == 1


async def test_who_does_not_offer_it_need_not() -> None:
    with trio.fail_after(PATIENCE):
        async with serving(Scripted(), stores=True) as server, receiving() as (receiver, _):
            remote = DimseRemote("GATEWAY", HOST, server.port)
            may = PacsCommitment(DimseAddress(remote), "ME", receiver.reports)
            assert await may.ask([ONE]) is None
            must = DimseAddress(remote, commitment="yes")
            with pytest.raises(PacsRefusedError, match="not accepted"):
                await PacsCommitment(must, "ME", receiver.reports).ask([ONE])


async def test_who_is_not_to_be_asked_or_could_not_report_is_not_asked(pacs: Pacs) -> None:
    async with receiving() as (receiver, _):
        never = PacsCommitment(pacs.address("no"), "ME", receiver.reports)
        assert await never.ask([ONE]) is None
    assert await PacsCommitment(pacs.address(), "ME", None).ask([ONE]) is None
    assert not pacs.asked


async def test_a_pacs_that_is_away_is_asked_again_when_it_is_back(pacs: Pacs) -> None:
    away = DimseAddress(DimseRemote("GATEWAY", HOST, free_port()))
    async with receiving() as (receiver, _):
        assert await PacsCommitment(away, "ME", receiver.reports).ask([ONE]) is None
    must = DimseAddress(away.remote, commitment="yes")
    with pytest.raises(PacsUnreachableError):
        await PacsCommitment(must, "ME", None).ask([ONE])
