"""A scanner (pynetdicom as it is) asks a server for Storage Commitment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association

from p2pacs.dimse.association.contexts import COMMITMENT, COMMITMENT_INSTANCE
from p2pacs.dimse.commitment import (
    CommitmentReport,
    CommitmentRequest,
    FailureReason,
    Reference,
    read_report,
    write_request,
)
from p2pacs.dimse.server.commitment import CommitmentService
from p2pacs.errors import (
    BusyError,
    CorruptStoreError,
    DiskFullError,
    ForbiddenError,
    P2PacsError,
    UsageError,
)
from p2pacs.limits import COMMITTED_INSTANCES, MIB
from tests.components import HOST
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, identifier

ONE = Reference(CT, "1.2.3.4")
ASKED = CommitmentRequest("1.2.840.1", (ONE,))
PATIENCE = 20.0


class Kept:
    """Keeps requests, or fails as a test says."""

    def __init__(self) -> None:
        self.requests: list[tuple[CommitmentRequest, str]] = []
        self.error: P2PacsError | None = None

    def take(self, request: CommitmentRequest, caller: str) -> None:
        if self.error is not None:
            raise self.error
        self.requests.append((request, caller))


class Scanner:
    """Asks, and hears reports over the same association."""

    def __init__(self, port: int, aet: str = "CT1") -> None:
        self.reports: list[CommitmentReport] = []
        self.answer = 0x0000
        self.heard = threading.Event()
        ae = AE(aet)
        ae.add_requested_context(COMMITMENT, EXPLICIT)
        self.assoc: Association = ae.associate(
            HOST, port, ae_title="GATEWAY", evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._heard)]
        )

    def _heard(self, event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        self.reports.append(read_report(request.EventTypeID, event.event_information))
        self.heard.set()
        return self.answer, None

    def ask(
        self,
        information: Dataset | None = None,
        action: int = 1,
        instance: str = COMMITMENT_INSTANCE,
    ) -> int:
        said = write_request(ASKED) if information is None else information
        status, _ = self.assoc.send_n_action(said, action, UID(COMMITMENT), UID(instance))
        return int(status.Status)


@contextmanager
def scanner(port: int, aet: str = "CT1") -> Iterator[Scanner]:
    made = Scanner(port, aet)
    assert made.assoc.is_established
    try:
        yield made
    finally:
        made.assoc.abort()


async def in_thread(work: Callable[[], None]) -> None:
    with trio.fail_after(PATIENCE):
        await trio.to_thread.run_sync(work)


def report_until_taken(service: CommitmentService, report: CommitmentReport) -> None:
    """The association has to be quiet for a moment before it is reported over."""
    while not service.report("CT1", report):
        threading.Event().wait(0.05)


async def test_a_request_is_taken_and_reported_on_over_its_association() -> None:
    kept = Kept()
    service = CommitmentService(kept.take)

    async with serving(Scripted(), commitment=service) as server:

        def work() -> None:
            with scanner(server.port) as ct:
                assert ct.ask() == 0x0000
                assert kept.requests == [(ASKED, "CT1")]
                other = CommitmentReport("1.2.9", (ONE,))
                assert not service.report("CT1", other)
                assert not service.report("CT2", CommitmentReport(ASKED.transaction, (ONE,)))
                assert not ct.reports
                report = CommitmentReport(
                    ASKED.transaction, (), ((ONE, FailureReason.NO_SUCH_INSTANCE),)
                )
                report_until_taken(service, report)
                assert ct.reports == [report]
                assert not service.report("CT1", report)  # it was told
                assert ct.ask() == 0x0000  # the association is as it was

        await in_thread(work)


async def test_a_report_that_is_not_taken_can_be_sent_again() -> None:
    service = CommitmentService(Kept().take)
    report = CommitmentReport(ASKED.transaction, (ONE,))

    async with serving(Scripted(), commitment=service) as server:

        def work() -> None:
            with scanner(server.port) as ct:
                assert ct.ask() == 0x0000
                ct.answer = 0x0110
                while not ct.reports:
                    assert not service.report("CT1", report)
                    threading.Event().wait(0.05)
                ct.answer = 0x0000
                report_until_taken(service, report)
                assert ct.reports == [report, report]

        await in_thread(work)


async def test_over_an_association_that_has_ended_nothing_is_reported() -> None:
    service = CommitmentService(Kept().take)

    async with serving(Scripted(), commitment=service) as server:

        def work() -> None:
            ct = Scanner(server.port)
            assert ct.ask() == 0x0000
            ct.assoc.release()
            assert not service.report("CT1", CommitmentReport(ASKED.transaction, (ONE,)))

        await in_thread(work)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("in use"), 0x0115),
        (ForbiddenError("not you"), 0x0124),
        (BusyError("too many"), 0x0213),
        (DiskFullError("no room"), 0x0213),
        (CorruptStoreError("broken"), 0x0110),
    ],
)
async def test_what_is_not_kept_is_refused(error: P2PacsError, status: int) -> None:
    kept = Kept()
    kept.error = error
    service = CommitmentService(kept.take)

    async with serving(Scripted(), commitment=service) as server:

        def work() -> None:
            with scanner(server.port) as ct:
                assert ct.ask() == status
            assert not service.report("CT1", CommitmentReport(ASKED.transaction, (ONE,)))

        await in_thread(work)


async def test_what_is_no_request_is_refused() -> None:
    kept = Kept()

    async with serving(Scripted(), commitment=CommitmentService(kept.take)) as server:

        def work() -> None:
            with scanner(server.port) as ct:
                assert ct.ask(action=2) == 0x0123
                assert ct.ask(instance="1.2.3") == 0x0112
                assert ct.ask(identifier("STUDY")) == 0x0115

        await in_thread(work)
    assert not kept.requests


async def test_as_many_instances_as_are_taken_fit_into_a_message() -> None:
    kept = Kept()

    def asking(count: int) -> Dataset:
        uids = (f"1.2.826.0.1.3680043.8.498.1{number:037}" for number in range(count))
        named = tuple(Reference(CT, uid) for uid in uids)
        return write_request(CommitmentRequest("1.2.3", named))

    async with serving(Scripted(), commitment=CommitmentService(kept.take)) as server:

        def work() -> None:
            with scanner(server.port) as ct:
                assert ct.ask(asking(COMMITTED_INSTANCES)) == 0x0000

        await in_thread(work)
    ((request, _),) = kept.requests
    assert len(request.references) == COMMITTED_INSTANCES


async def test_a_data_set_without_an_end_ends_its_association_alone() -> None:
    huge = Dataset()
    huge.TransactionUID = UID("1.2.3")
    huge.add_new(0x00081199, "OB", bytes(5 * MIB))

    async with serving(Scripted(), commitment=CommitmentService(Kept().take)) as server:

        def work() -> None:
            with scanner(server.port) as ct:
                status, _ = ct.assoc.send_n_action(
                    huge, 1, UID(COMMITMENT), UID(COMMITMENT_INSTANCE)
                )
                assert "Status" not in status
            with scanner(server.port) as ct:
                assert ct.ask() == 0x0000

        await in_thread(work)


async def test_sequences_in_sequences_are_no_request() -> None:
    nested = Dataset()
    for _ in range(200):
        outer = Dataset()
        outer.ReferencedSOPSequence = Sequence([nested])
        nested = outer

    async with serving(Scripted(), commitment=CommitmentService(Kept().take)) as server:

        def work() -> None:
            with scanner(server.port) as ct:
                assert ct.ask(nested) == 0x0115

        await in_thread(work)


@pytest.mark.parametrize("stores", [False, True])
async def test_where_it_is_not_offered_its_context_is_not_accepted(stores: bool) -> None:
    async with serving(Scripted(), stores=stores) as server:

        def work() -> None:
            assert not Scanner(server.port).assoc.accepted_contexts

        await in_thread(work)
