"""Studies that begin to come while the browser still reads the viewer's scripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from p2pacs.errors import P2PacsError

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
"""Studies that are begun at the same time; of more the viewer itself asks soon."""

SECONDS: Final = 30.0
"""For one to begin."""


class StudiesAhead:
    """Begins studies in tasks of its own."""

    def __init__(
        self, nursery: trio.Nursery, begin: Callable[[str, str], Awaitable[object]]
    ) -> None:
        """Nothing yet.

        Args:
            nursery: whose tasks they are.
            begin: begins a study (UID) for somebody.
        """
        self._nursery = nursery
        self._begin = begin
        self._running = 0

    def __call__(self, study: str, caller: str) -> None:
        """Begin one, if few are under way; whatever fails, the viewer meets again and tells."""
        if self._running < AT_ONCE:
            self._running += 1
            self._nursery.start_soon(self._run, study, caller)

    async def _run(self, study: str, caller: str) -> None:
        try:
            with trio.move_on_after(SECONDS):
                await self._begin(study, caller)
        except P2PacsError as error:
            log.debug("not begun ahead", error=type(error).__name__)
        finally:
            self._running -= 1
