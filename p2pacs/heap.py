"""Keeps the memory of a long-running process near what it uses.

glibc gives threads heaps of their own (up to eight a processor), and each keeps what its
thread once needed: a broker that publishes had a third of its memory in there.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
"""mallopt(3)"""

HEAPS: Final = 2
"""One a processor of a small machine: more gained no speed."""


def bound() -> bool:
    """Let all threads share two heaps; to be called before there are threads.

    Returns:
        Whether the C library could be told (glibc can, others need not be).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, HEAPS))
