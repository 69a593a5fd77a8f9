"""After a start: versions that came out, and of which the catalogue has not heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

import structlog
import trio

from p2pacs.catalogue.records import StudyRecord
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.ids import StudyId

log = structlog.get_logger(__name__)

NEWEST: Final = 256
"""Studies that came out last, of which a start looks whether the catalogue has heard."""


class PublishedStudy(Protocol):
    """A study of which a version is out."""

    @property
    def study(self) -> StudyId:
        """Its id."""

    @property
    def uid(self) -> str:
        """Its Study Instance UID."""

    @property
    def version(self) -> int:
        """The newest version that was announced."""


async def catch_up(
    newest: Iterable[PublishedStudy],
    record: Callable[[StudyId], StudyRecord | None],
    stage: Callable[[str], object],
) -> None:
    """A version and its record in the catalogue are written one after the other: what came out
    just before the program was killed is compared again, so that members hear of it.

    Args:
        newest: the studies that came out last.
        record: what the catalogue has of a study; reads a database, and is called in a thread.
        stage: publishes what is new of a study, and enters it in the catalogue.
    """
    for one in newest:
        read = partial(trio.to_thread.run_sync, record, one.study)
        known = await until_possible(read, "the catalogue")
        if known is not None and known.version < one.version:
            log.info("the catalogue has not heard of a version", study=one.study.short)
            stage(one.uid)
