"""Storage Commitment over associations that we open: asked for, and reported (PS3.4 J.3)."""

from __future__ import annotations

import time
from typing import Final

from pydicom.uid import UID
from pynetdicom import AE

from p2pacs.dimse.association.association import has_ended, release
from p2pacs.dimse.association.calls import CallAssociation, call
from p2pacs.dimse.association.contexts import COMMITMENT, COMMITMENT_INSTANCE, NATIVE
from p2pacs.dimse.association.event_report import send_commitment_event
from p2pacs.dimse.association.remote import DimseRemote, check_aet
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.client.statuses import PacsStatuses
from p2pacs.dimse.commitment import (
    REQUEST,
    CommitmentReport,
    CommitmentRequest,
    write_report,
    write_request,
)
from p2pacs.dimse.server.commitment_reports import CommitmentReports
from p2pacs.errors import PacsUnreachableError

ANSWER_SECONDS: Final = 60.0
"""For a request or a report to be answered."""

_LOOK_SECONDS: Final = 0.1
"""Between two looks whether the association has ended."""


async def report_commitment(
    remote: DimseRemote, aet: str, report: CommitmentReport, *, tuning: DimseTuning = TUNING
) -> None:
    """Report to who asked; returns when it is answered.

    Args:
        remote: who asked.
        aet: our AE title.
        report: what became of the request.
        tuning: deadlines and bounds.

    Raises:
        PacsUnreachableError: no association, or it ended before the answer.
        PacsRefusedError: it takes no reports, or not this one.
        DeadlineError: it does not answer.
    """

    def work(line: CallAssociation) -> None:
        assoc = associate(
            _entity(aet, tuning),
            remote,
            [(COMMITMENT, NATIVE[:2])],
            scp_roles=[COMMITMENT],  # who opens an association is SCU of all unless it says so
            opening=line.opening,
            tuning=tuning,
        )
        try:
            send_commitment_event(
                assoc,
                report.event,
                write_report(report),
                message_id=1,
                patience=ANSWER_SECONDS,
            )
        finally:
            release(assoc)

    await call(work)


async def request_commitment(
    remote: DimseRemote,
    aet: str,
    request: CommitmentRequest,
    reports: CommitmentReports,
    *,
    hold: float,
    tuning: DimseTuning = TUNING,
) -> CommitmentReport | None:
    """Ask for Storage Commitment, and keep the association for a while for the report.

    Args:
        remote: whom to ask.
        aet: our AE title.
        request: expected by ``reports`` already.
        reports: where the report will be, also if it comes later and over another association.
        hold: seconds for the report after the request was answered.
        tuning: deadlines and bounds.

    Returns:
        The report; None if it did not come meanwhile.

    Raises:
        PacsRefusedError: it does not offer this, or refuses the request.
        PacsUnreachableError: no association, or it ended before the answer.
        DeadlineError: no answer.
    """

    def work(line: CallAssociation) -> CommitmentReport | None:
        assoc = associate(
            _entity(aet, tuning),
            remote,
            [(COMMITMENT, NATIVE[:2])],
            opening=line.opening,
            tuning=tuning,
        )
        assoc.services = reports.services()
        try:
            status, _ = assoc.send_n_action(
                write_request(request), REQUEST, UID(COMMITMENT), UID(COMMITMENT_INSTANCE)
            )
            PacsStatuses(remote).check(status, "N-ACTION", aborted=assoc._sent_abort)
            deadline, report = time.monotonic() + hold, None
            while report is None and time.monotonic() < deadline and not has_ended(assoc):
                report = reports.wait(request.transaction, _LOOK_SECONDS)
        except RuntimeError as error:
            # What pynetdicom raises when the association ended before a message was sent.
            if assoc.is_established:
                raise
            raise PacsUnreachableError(f"{remote} ended the association") from error
        else:
            return report
        finally:
            release(assoc)

    return await call(work)


def _entity(aet: str, tuning: DimseTuning) -> AE:
    entity = AE(check_aet(aet))
    entity.connection_timeout = tuning.connect
    entity.acse_timeout = tuning.negotiate
    entity.dimse_timeout = ANSWER_SECONDS
    return entity
