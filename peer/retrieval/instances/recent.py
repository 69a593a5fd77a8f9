"""After a start nothing is decoded any more: what was used last may be read next, and is decoded
again, with the index that every reader needs, before somebody asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
import trio
from attrs import frozen

from p2pacs.errors import P2PacsError
from p2pacs.ids import StudyId
from peer.retrieval.instances.decode_ahead import HeldStudy


@frozen
class RecentTuning:
    """What goes by the last start."""

    count: int = 4
    """Studies at most."""

    rest: float = 1.0
    """Seconds after the start: who starts has links, lists and a catalogue to see to first."""

    pause: float = 1.0
    """Seconds between two looks whether something else is to be done."""


TUNING: Final = RecentTuning()

log = structlog.get_logger(__name__)


async def open_recent(
    studies: Sequence[StudyId],
    open_held: Callable[[StudyId], Awaitable[HeldStudy | None]],
    is_busy: Callable[[], bool],
    room: int,
    tuning: RecentTuning = TUNING,
) -> None:
    """Open the studies that were used last, if all of them is here: they are decoded then.

    Args:
        studies: the last one first.
        open_held: opens one; None where it is not all here, or may not be read.
        is_busy: whether something is fetched or read: that comes first.
        room: bytes of instances that may be decoded, so that the first ones stay.
        tuning: what it goes by.
    """
    await trio.sleep(tuning.rest)
    for study in studies[: tuning.count]:
        while is_busy():  # noqa: ASYNC110 - of many parts
            await trio.sleep(tuning.pause)
        try:
            held = await open_held(study)
        except P2PacsError as error:  # who reads it is told
            log.info("a study is not decoded", study=study.short, why=str(error))
            continue
        room -= 0 if held is None else sum(known.entry.size for known in held.present)
        if room < 0:
            return
