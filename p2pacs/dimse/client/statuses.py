"""What the answers of a PACS mean: statuses, failed instances, and errors that say so (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NoReturn

from attrs import frozen
from pydicom.dataset import Dataset

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.delivery.sender import SUCCESS
from p2pacs.errors import DeadlineError, PacsRefusedError, PacsUnreachableError

PENDING: Final = (0xFF00, 0xFF01)
INCOMPLETE: Final = (0xB000, 0xA702)
"""Some instances, or all, were not sent: perhaps as no context for them was proposed."""
ENDED_EARLY: Final = (0xA700, 0xA701, 0xFE00)
_MEANINGS: Final = {
    0xA700: "it is out of resources",
    0xA701: "it is out of resources to count the matches",
    0xA702: "it could not perform the sub-operations",
    0xA801: "it does not know our AE title as a destination: register it in the PACS",
    0xA900: "it finds the query wrong",
    0xB000: "some sub-operations failed",
    0xFE00: "it was cancelled",
    0x0122: "it does not support the SOP Class",
    0x0124: "it does not allow us this: register our AE title in the PACS",
}


@frozen
class PacsStatuses:
    """What one application entity answers with."""

    remote: DimseRemote

    def check(self, status: Dataset, operation: str, *, aborted: bool) -> None:
        """Nothing, if a final status says that all went well.

        Args:
            status: the last one that came; without a status if none came.
            operation: ``C-FIND`` or the like.
            aborted: whether we ended the association, as nothing came in time.

        Raises:
            DeadlineError: the PACS hangs.
            PacsUnreachableError: it ended the association.
            PacsRefusedError: it says that it did not succeed.
        """
        code = status.get("Status")
        if code == SUCCESS:
            return
        if code is None and aborted:
            raise DeadlineError(f"{self.remote} does not answer {operation}: is it hung?")
        if code is None:
            raise PacsUnreachableError(f"{self.remote} ended the association during {operation}")
        self.refuse(status, operation)

    def refuse(self, status: Dataset, operation: str) -> NoReturn:
        """Raise what a failure status means."""
        code = status.Status
        meaning = _MEANINGS.get(code, "see its log")
        if operation == "C-MOVE" and code not in _MEANINGS:  # Orthanc: 0xC000 for a stranger
            meaning += ", and whether it knows our AE title as a destination"
        failed = status.get("NumberOfFailedSuboperations")
        counts = f" ({failed} instances failed)" if failed else ""
        raise PacsRefusedError(
            f"{self.remote} answers {operation} with status 0x{code:04X}{counts}: {meaning}"
        )


def last(answers: Iterable[tuple[Dataset, Dataset | None]]) -> tuple[Dataset, Dataset | None]:
    """The last answer; the ones before only count sub-operations."""
    last: tuple[Dataset, Dataset | None] = Dataset(), None
    for answer in answers:
        last = answer
    return last


def may_lack_contexts(status: Dataset) -> bool:
    """Whether instances failed, perhaps as no context for them was proposed.

    Orthanc ends the whole retrieval with 0xC000 at the first such instance.
    """
    code = int(status.get("Status") or 0)
    return code in INCOMPLETE or (
        code & 0xF000 == 0xC000 and bool(status.get("NumberOfFailedSuboperations"))
    )


def wanted(status: Dataset) -> int:
    """How many instances an answer counts; 0 if it does not say, or says that none failed: what
    went wrong was something else, which no further association brings."""
    if not status.get("NumberOfFailedSuboperations"):
        return 0
    return sum(
        int(status.get(f"NumberOf{how}Suboperations") or 0)
        for how in ("Remaining", "Completed", "Failed", "Warning")
    )


def failed_uids(failed: Dataset | None) -> set[str]:
    """The instances that an answer says failed; empty if it does not say which."""
    found = failed.get("FailedSOPInstanceUIDList") if failed is not None else None
    return {str(uid) for uid in ([found] if isinstance(found, str) else found or ())}
