"""Reports of Storage Commitment over an association of their own (PS3.4 J.3.3)."""

from __future__ import annotations

from typing import Final

from pynetdicom import AE

from p2pacs.dimse.association.association import release
from p2pacs.dimse.association.calls import CallAssociation, call
from p2pacs.dimse.association.contexts import COMMITMENT, NATIVE
from p2pacs.dimse.association.event_report import send_commitment_event
from p2pacs.dimse.association.remote import DimseRemote, check_aet
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.commitment import CommitmentReport, write_report

ANSWER_SECONDS: Final = 60.0
"""For a report to be answered."""


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
        entity = AE(check_aet(aet))
        entity.connection_timeout = tuning.connect
        entity.acse_timeout = tuning.negotiate
        assoc = associate(
            entity,
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
