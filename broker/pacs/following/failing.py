"""Studies that a PACS fails at, one by one: they keep nobody from the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
import trio
from attrs import field, frozen

from p2pacs.errors import DeadlineError, P2PacsError, PacsError, PacsUnreachableError
from p2pacs.ids import StudyId

log = structlog.get_logger(__name__)


@frozen
class FailingTuning:
    """How much trouble is taken."""

    first_seconds: float = 60.0
    """Until a study that failed is asked for again; twice as long after each further failure ..."""
    longest_seconds: float = 3600.0
    """... and never longer."""
    failures: int = 20
    """In one look: after that it is the PACS that fails. The next look passes them over, so it
    comes further."""
    hangs: int = 3
    """As many of these may have been deadlines, each after a minute."""


@frozen
class _Failed:
    until: float
    """By trio's clock."""
    pause: float


@frozen
class Failing:
    """What is known of studies that the PACS fails at.

    Args:
        alive: raises if the PACS is away.
        tuning: how much trouble is taken.
    """

    _alive: Callable[[], Awaitable[None]]
    _tuning: FailingTuning = field(factory=FailingTuning)
    _failed: dict[StudyId, _Failed] = field(factory=dict)
    _errors: list[P2PacsError] = field(factory=list)
    """Of this look."""

    def begin(self) -> None:
        """A look begins."""
        self._errors.clear()

    def passes_over(self, study: StudyId) -> bool:
        """Whether this study failed just now."""
        failed = self._failed.get(study)
        return failed is not None and trio.current_time() < failed.until

    def told(self, study: StudyId) -> None:
        """The PACS told of this study."""
        self._failed.pop(study, None)

    async def note(self, study: StudyId, error: PacsError | DeadlineError) -> None:
        """The PACS did not tell of this study.

        Raises:
            P2PacsError: it is not this study alone: the PACS is away, or fails at many.
        """
        if isinstance(error, PacsUnreachableError):
            raise error
        await self._alive()
        tuning, before = self._tuning, self._failed.get(study)
        pause = tuning.first_seconds
        if before is not None:
            pause = min(2 * before.pause, tuning.longest_seconds)
        self._failed[study] = _Failed(trio.current_time() + pause, pause)
        log.warning("the PACS does not tell of a study", study=study.short, why=str(error))
        self._errors.append(error)
        hung = sum(isinstance(one, DeadlineError) for one in self._errors)
        if hung >= tuning.hangs or len(self._errors) >= tuning.failures:
            raise error
