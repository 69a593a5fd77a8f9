"""Where a study is, as people need to know it: here, coming, elsewhere. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from p2pacs.languages import N_, _, said
from p2pacs.swarm.download.transfer import Transfer, TransferState


class Presence(StrEnum):
    """Where a study is."""

    HERE = "here"
    COMING = "coming"
    PAUSED = "paused"
    FAILED = "failed"
    PARTLY = "partly"
    NETWORK = "network"
    PACS = "pacs"


WORDS: Final = {
    Presence.HERE: N_("Here"),
    Presence.COMING: N_("Coming"),
    Presence.PAUSED: N_("Paused"),
    Presence.FAILED: N_("Stopped"),
    Presence.PARTLY: N_("Partly here"),
    Presence.NETWORK: N_("In the network"),
    Presence.PACS: N_("In the central PACS"),
}
"""What the page calls it."""


@frozen
class HeldPart:
    """What the store has of a study."""

    chunks: int
    total: int
    """Chunks of the newest version that is known here; 0 while none is."""
    whole: bool
    """Whether that version is the study's whole, and all of it is here."""
    version: int
    pinned: bool = False


@frozen
class StudyPresence:
    """Where one study is."""

    presence: Presence
    percent: int | None = None
    """How much of it is here, where that is a question."""
    pinned: bool = False

    @property
    def words(self) -> str:
        """For people."""
        words = said(WORDS[self.presence])
        if self.percent is None:
            return words
        return _("%(state)s, %(percent)s %%", state=words, percent=self.percent)

    @property
    def can_fetch(self) -> bool:
        """Whether to fetch it would bring something."""
        return self.presence not in (Presence.HERE, Presence.COMING)


def presence_of(
    version: int, held: HeldPart | None, transfer: Transfer | None, *, paused: bool
) -> StudyPresence:
    """Where a study is.

    Args:
        version: that the catalogue tells of; 0: nothing of it was published yet.
        held: what the store has; None: nothing.
        transfer: of this study, under way or ended; None: none since the start.
        paused: whether somebody paused it.
    """
    pinned = held is not None and held.pinned
    percent = None if held is None else _percent(held.chunks, held.total)
    if transfer is not None and transfer.state is TransferState.FETCHING:
        whole = transfer.root is not None and transfer.root.complete
        done = _percent(transfer.bytes_held, transfer.bytes_total) if whole else None
        return StudyPresence(Presence.COMING, done, pinned)
    if paused:
        return StudyPresence(Presence.PAUSED, percent, pinned)
    if held is not None and held.whole and held.version >= version:
        return StudyPresence(Presence.HERE, pinned=pinned)
    if transfer is not None and transfer.state is TransferState.FAILED:
        return StudyPresence(Presence.FAILED, percent, pinned)
    if held is not None and held.chunks:
        return StudyPresence(Presence.PARTLY, percent, pinned)
    return StudyPresence(Presence.NETWORK if version else Presence.PACS)


def _percent(part: int, whole: int) -> int | None:
    """How much of a whole, rounded down: 100 is all of it."""
    return min(100, 100 * part // whole) if whole > 0 else None
