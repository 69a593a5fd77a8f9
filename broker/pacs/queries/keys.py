"""Which attributes the PACS is asked for: as many as it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from broker.pacs.adapter import CLASSES_KEY, INSTANCE_KEYS, LISTED_KEYS, SERIES_KEYS, STUDY_KEYS
from p2pacs.dataset.vocabulary import (
    PATIENT_COUNTS,
    PATIENT_TAGS,
    SERIES_TAGS,
    STUDY_TAGS,
)
from p2pacs.errors import PacsRefusedError

log = structlog.get_logger(__name__)

T = TypeVar("T")

QueryKeys = tuple[str, ...]

WIDE: Final[dict[QueryKeys, QueryKeys]] = {
    STUDY_KEYS: tuple(sorted((PATIENT_TAGS | STUDY_TAGS) - PATIENT_COUNTS - {CLASSES_KEY})),
    SERIES_KEYS: tuple(sorted(SERIES_TAGS)),
    LISTED_KEYS: INSTANCE_KEYS,
}
"""What every PACS takes → all that the vocabulary has at this level. (For SOP Classes in Study some
open every file: where it is of use, it is asked for besides.)"""

PATIENT_KEYS: Final[QueryKeys] = tuple(sorted(PATIENT_TAGS - PATIENT_COUNTS))


class WideKeys:
    """Asks for all of the vocabulary, until the PACS refuses that."""

    def __init__(self, address: str) -> None:
        """Everything is asked for at first.

        Args:
            address: of the PACS, for the log.
        """
        self._address = address
        self._refused: set[QueryKeys] = set()

    async def ask(self, usual: QueryKeys, ask: Callable[[QueryKeys], Awaitable[T]]) -> T:
        """What ``ask`` gives for all keys of a level, or for the usual ones.

        Args:
            usual: a key of `WIDE`.
            ask: a query for these keys.

        Raises:
            PacsError, DeadlineError: the query for the usual ones fails, too.
        """
        if usual not in self._refused:
            try:
                return await ask(WIDE[usual])
            except PacsRefusedError as error:
                found = await ask(usual)
                self._refused.add(usual)
                log.warning(
                    "the PACS refuses to tell more than the usual attributes: others cannot be "
                    "searched",
                    pacs=self._address,
                    why=str(error),
                )
                return found
        return await ask(usual)
