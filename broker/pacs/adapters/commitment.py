"""Storage Commitment of a PACS: asked for what was stored in it, and waited for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import structlog
import trio
from attrs import frozen
from pydicom.uid import generate_uid

from broker.pacs.address import DimseAddress
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.client.commitment import request_commitment
from p2pacs.dimse.commitment import CommitmentReport, CommitmentRequest, FailureReason, Reference
from p2pacs.dimse.server.commitment_reports import CommitmentReports
from p2pacs.errors import DeadlineError, PacsError, PacsRefusedError, PacsUnreachableError

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 0.2


@frozen
class CommitmentPatience:
    """How long a PACS is waited for; seconds."""

    hold: float = 10.0
    """That the association of a request stays for the report, where it may also come over another
    one ..."""
    report: float = 60.0
    """... and in all, before the question is left open."""
    transaction: float = 24 * 3600.0
    """That an open question waits for its report, before it is asked anew."""
    open: int = 1024
    """Questions that are open at once."""


@frozen
class _OpenQuestion:
    """A question that waits for its report."""

    transaction: str
    asked: float
    """By trio's clock."""


class PacsCommitment:
    """Asks one PACS."""

    def __init__(
        self,
        address: DimseAddress,
        aet: str,
        reports: CommitmentReports | None,
        *,
        patience: CommitmentPatience = CommitmentPatience(),
        tuning: DimseTuning = TUNING,
    ) -> None:
        """Nothing is asked yet.

        Args:
            address: of the PACS, and whether it must commit.
            aet: our AE title.
            reports: those that come over associations of the PACS's own; None: none can.
            patience: for reports.
            tuning: deadlines and bounds.
        """
        self._address = address
        self._aet = aet
        self._must = address.commitment == "yes"
        self._asks = self._must or (address.commitment is None and reports is not None)
        self._can_come_later = reports is not None
        self._reports = CommitmentReports() if reports is None else reports
        self._patience = patience
        self._tuning = tuning
        self._open: dict[frozenset[Reference], _OpenQuestion] = {}

    async def ask(self, references: Collection[Reference]) -> dict[str, int] | None:
        """See `broker.pacs.adapter.PacsAdapter.commit`."""
        if not self._asks:
            return None
        try:
            report = await self._report(frozenset(references))
        except PacsUnreachableError:
            if self._must:
                raise
            return None
        except (PacsError, DeadlineError) as error:
            if self._must:
                raise
            self._asks = False  # what does not work once would hold up each study
            told = log.info if isinstance(error, PacsRefusedError) else log.warning
            told(
                "the PACS is not asked for Storage Commitment any more: what it has is compared; "
                "?commitment=no in its address says so, ?commitment=yes waits for it",
                pacs=str(self._address),
                why=str(error),
            )
            return None
        committed = {one.uid for one in report.committed}
        reasons = {one.uid: reason for one, reason in report.failed}
        return {
            one.uid: reasons.get(one.uid, int(FailureReason.PROCESSING_FAILURE))
            for one in references
            if one.uid not in committed
        }

    async def _report(self, references: frozenset[Reference]) -> CommitmentReport:
        """What the PACS says of these, now or to a question before.

        Raises:
            PacsError: it cannot be asked.
            DeadlineError: it does not say anything yet.
        """
        patience, began = self._patience, trio.current_time()
        known, report = self._open.get(references), None
        if known is None or not self._can_come_later or began > known.asked + patience.transaction:
            known = self._begin(references)
            report = await self._request(known.transaction, references)
        while report is None and self._can_come_later:
            report = self._reports.wait(known.transaction, 0)
            if report is None and trio.current_time() > began + patience.report:
                break
            await trio.sleep(_LOOK_SECONDS)
        if report is None:
            raise DeadlineError(
                f"{self._address.remote} has not reported yet what it commits to: does it know "
                "where to (dicom in broker.toml)?"
            )
        self._forget(references)
        return report

    async def _request(
        self, transaction: str, references: frozenset[Reference]
    ) -> CommitmentReport | None:
        patience = self._patience
        try:
            return await request_commitment(
                self._address.remote,
                self._aet,
                CommitmentRequest(transaction, tuple(sorted(references))),
                self._reports,
                hold=patience.hold if self._can_come_later else patience.report,
                tuning=self._tuning,
            )
        except (PacsError, DeadlineError):
            self._forget(references)
            raise

    def _begin(self, references: frozenset[Reference]) -> _OpenQuestion:
        """Begin a new question; one that is open for long may give way."""
        self._forget(references)
        while len(self._open) >= self._patience.open:
            self._forget(next(iter(self._open)))
        transaction = str(generate_uid(prefix=None))  # random: who reports must have been asked
        self._reports.expect(transaction)
        begun = self._open[references] = _OpenQuestion(transaction, trio.current_time())
        return begun

    def _forget(self, references: frozenset[Reference]) -> None:
        known = self._open.pop(references, None)
        if known is not None:
            self._reports.forget(known.transaction)
