"""The bookkeeping of a C-MOVE or C-GET: counts, failed instances, final status (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from attrs import define, field

from p2pacs import limits
from p2pacs.errors import LocalError, P2PacsError

SUCCESS: Final = 0x0000
WARNING: Final = 0xB000
"""Sub-operations complete, one or more failures (PS3.4 C.4.2.1.5)."""
UNABLE: Final = 0xA702
"""Unable to perform sub-operations."""
UNKNOWN_DESTINATION: Final = 0xA801
CANCELLED: Final = 0xFE00
PENDING: Final = 0xFF00
PENDING_IGNORED: Final = 0xFF01
"""An answer; some optional key was not matched (PS3.4 C.4.1.1.4)."""
INVALID: Final = 0xA900

COMMENT_CHARACTERS: Final = 64
"""Error Comment (0000,0902) is an LO."""

_ELLIPSIS: Final = " ..."

_UI_BYTES: Final = 0xFFFE
"""Of a value that Explicit VR has two bytes for the length of (PS3.5 7.1.2): some 1,000 UIDs."""

_COUNT: Final = 0xFFFF
"""The counts are US: a study may have more instances than they can tell."""


@define
class SubOperationCounts:
    """What became of the sub-operations so far."""

    completed: int = 0
    warnings: int = 0
    failed: int = 0
    failed_uids: list[str] = field(factory=list, repr=False)
    _reasons: Counter[str] = field(factory=Counter, init=False)
    _conversions: Counter[str] = field(factory=Counter, init=False)

    def count(self, status: int, sop_instance_uid: str) -> bool:
        """Note the C-STORE status of one sub-operation; whether the receiver took it."""
        if status == SUCCESS:
            self.completed += 1
        elif status & 0xF000 == WARNING:
            self.warnings += 1
        else:
            self.fail(f"the destination answers C-STORE with 0x{status:04X}", sop_instance_uid)
            return False
        return True

    def fail(self, reason: str, *sop_instance_uids: str, unnamed: int = 0) -> None:
        """Note that instances were not sent.

        Args:
            reason: for the Error Comment: without patient data.
            sop_instance_uids: which, as far as that is known.
            unnamed: how many more.
        """
        count = len(sop_instance_uids) + unnamed
        self.failed += count
        self._reasons[reason] += count
        self.failed_uids.extend(sop_instance_uids)

    def convert(self, stored: str, sent: str) -> None:
        """Note that an instance was sent in another transfer syntax than it is stored in."""
        self._conversions[f"{stored} to {sent}"] += 1

    @property
    def conversions(self) -> dict[str, int]:
        """What was converted to what, and how many instances, most first."""
        return dict(self._conversions.most_common())

    @property
    def converted(self) -> str:
        """The most frequent conversion, for the Error Comment of what went well; or nothing."""
        return next((f"converted: {how}" for how in self.conversions), "")

    @property
    def reasons(self) -> dict[str, int]:
        """Why instances were not sent, and how many for each reason, most first."""
        return dict(self._reasons.most_common())

    @property
    def why(self) -> str:
        """The reasons in words, for logs."""
        return "; ".join(f"{reason} ({count})" for reason, count in self.reasons.items())

    @property
    def done(self) -> int:
        """Sub-operations that are over."""
        return self.completed + self.warnings + self.failed

    def final_status(self) -> int:
        """The status when all is done."""
        if not self.failed and not self.warnings:
            return SUCCESS
        return WARNING if self.completed or self.warnings else UNABLE


def us(count: int) -> int:
    """A count as it fits into the message."""
    return max(0, min(count, _COUNT))


def status_of(error: P2PacsError) -> int:
    """The C-MOVE or C-GET status that an error becomes."""
    # Out of resources (0xA700) is split in two for retrievals: ours is always the second.
    return UNABLE if isinstance(error, LocalError) else error.dicom_status


def comment_of(error: P2PacsError | str) -> str:
    """The Error Comment that an error or a reason becomes."""
    text = str(error).encode("ascii", "replace").decode()
    printable = "".join(character if character.isprintable() else " " for character in text)
    comment = printable.replace("\\", "/").strip()
    if len(comment) <= COMMENT_CHARACTERS:
        return comment
    room = COMMENT_CHARACTERS - len(_ELLIPSIS)
    words, _, _ = comment[: room + 1].rpartition(" ")
    return (words.rstrip(" ,;:") or comment[:room]) + _ELLIPSIS


def failed_list(uids: Iterable[str], *, implicit: bool) -> list[str]:
    """What of these UIDs a Failed SOP Instance UID List (0008,0058) holds, each once.

    In Implicit VR all of them, as many as a query's identifier might have.
    """
    room = limits.DICOM_MESSAGE_BYTES if implicit else _UI_BYTES
    listed: list[str] = []
    for uid in dict.fromkeys(uids):
        room -= len(uid) + 1
        if room < 0:
            break
        listed.append(uid)
    return listed
