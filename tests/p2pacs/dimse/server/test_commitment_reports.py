"""What comes to a receiver that is reported to, from whoever calls it (pynetdicom as it is)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.presentation import build_role

from p2pacs.dimse.association.contexts import COMMITMENT, COMMITMENT_INSTANCE
from p2pacs.dimse.commitment import CommitmentReport, Reference, write_report
from p2pacs.dimse.server.receiver import StorageReceiver, storage_receiver
from p2pacs.limits import MIB
from p2pacs.units import Endpoint
from tests.components import HOST, free_port
from tests.p2pacs.dimse.samples import CT, EXPLICIT, identifier

TRANSACTION = "2.25.1"
ONE = Reference(CT, "1.2.3")
REPORT = CommitmentReport(TRANSACTION, (ONE,))
PATIENCE = 60.0


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[StorageReceiver, int]]:
    where = Endpoint(HOST, free_port())
    with trio.fail_after(PATIENCE):
        async with storage_receiver("ME", where) as receiver:
            yield receiver, where.port


async def report(
    port: int,
    information: Dataset,
    *,
    event: int = 1,
    instance: str = COMMITMENT_INSTANCE,
    has_role: bool = True,
) -> int | None:
    """The status of the answer; None for none."""

    def work() -> int | None:
        ae = AE("PACS")
        ae.add_requested_context(COMMITMENT, EXPLICIT)
        roles = [build_role(COMMITMENT, scp_role=True)] if has_role else []
        assoc = ae.associate(HOST, port, ae_title="ME", ext_neg=roles)
        (context,) = assoc.accepted_contexts
        assert context.as_scp is has_role
        status, _ = assoc.send_n_event_report(
            information, event, UID(COMMITMENT), UID(instance), msg_id=9
        )
        assoc.release()
        return status.get("Status")

    return await trio.to_thread.run_sync(work)


async def test_what_is_expected_is_taken_from_who_has_the_role_and_who_says_nothing_of_it() -> None:
    async with receiving() as (receiver, port):
        for has_role in (True, False):
            receiver.reports.expect(TRANSACTION)
            assert receiver.reports.wait(TRANSACTION, 0) is None
            assert await report(port, write_report(REPORT), has_role=has_role) == 0x0000
            assert receiver.reports.wait(TRANSACTION, 0) == REPORT
            receiver.reports.forget(TRANSACTION)
            assert receiver.reports.wait(TRANSACTION, 0) is None


async def test_what_nobody_asked_for_or_cannot_be_read_is_refused() -> None:
    async with receiving() as (receiver, port):
        receiver.reports.expect(TRANSACTION)
        other = CommitmentReport("2.25.2", (ONE,))
        assert await report(port, write_report(other)) == 0x0115
        assert await report(port, identifier("STUDY")) == 0x0115
        assert await report(port, write_report(REPORT), event=2) == 0x0115
        assert await report(port, write_report(REPORT), event=7) == 0x0115
        assert await report(port, write_report(REPORT), instance="1.2.3") == 0x0112
        assert receiver.reports.wait(TRANSACTION, 0) is None


async def test_a_report_without_an_end_ends_its_association_alone() -> None:
    huge = Dataset()
    huge.TransactionUID = UID(TRANSACTION)
    huge.add_new(0x00081199, "OB", bytes(5 * MIB))
    async with receiving() as (receiver, port):
        receiver.reports.expect(TRANSACTION)
        assert await report(port, huge) is None
        assert await report(port, write_report(REPORT)) == 0x0000


async def test_a_flood_of_reports_is_answered_and_changes_nothing() -> None:
    refs = tuple(Reference(CT, f"1.2.{number}") for number in range(2000))
    flood = write_report(CommitmentReport("2.25.2", refs))
    async with receiving() as (receiver, port):
        receiver.reports.expect(TRANSACTION)
        statuses = set[int | None]()

        async def send() -> None:
            statuses.add(await report(port, flood))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(send)
        assert statuses <= {0x0115, 0x0213}
        assert await report(port, write_report(REPORT)) == 0x0000
