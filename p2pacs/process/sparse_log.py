"""A log that says the same thing once a minute: no stranger fills a disk with it."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final

EVERY: Final = 60.0
"""Seconds between two lines of one kind."""

_KINDS: Final = 256


class Sparse:
    """Decides which lines are written. Pure."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._kinds: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kinds)

    def lets(self, kind: Hashable, at: float) -> int | None:
        """How many lines of this kind were left out before this one; None: leave it out, too."""
        said, left_out = self._kinds.get(kind, (-self._every, 0))
        if at - said < self._every:
            self._kinds[kind] = (said, left_out + 1)
            return None
        self._kinds[kind] = (at, 0)
        self._kinds.move_to_end(kind)
        if len(self._kinds) > _KINDS:
            self._kinds.popitem(last=False)
        return left_out

    def warn(self, log: Any, event: str, kind: Hashable, at: float, **fields: object) -> None:
        """Warn of this, unless the same was said lately; a line says how many it stands for."""
        left_out = self.lets((event, kind), at)
        if left_out:
            fields["left_out"] = left_out
        if left_out is not None:
            log.warning(event, **fields)


class SparseFilter(logging.Filter):
    """Leaves out what was logged within the last minute: by message, error and where it was."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._sparse = Sparse()
        self._clock = clock

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written; it says how many were left out before."""
        error = record.exc_info[1] if record.exc_info else None
        left_out = self._sparse.lets((record.msg, _whereabouts(error)), self._clock())
        if left_out:
            record.msg = f"{record.msg} ({left_out} more like this were not logged)"
        return left_out is not None


def _whereabouts(error: BaseException | None) -> tuple[str, int, str]:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        return ("", 0, "")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ("", 0, type(error).__name__)
    return (trace.tb_frame.f_code.co_filename, trace.tb_lineno, type(error).__name__)
