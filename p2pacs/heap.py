"""Keeps the memory of a long-running process near what it uses.

glibc gives threads heaps of their own (up to eight a processor), and each keeps what its
thread once needed: of a broker that publishes, that was about 30 MB of 215.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
"""mallopt(3)"""

_M_MMAP_THRESHOLD: Final = -3
"""mallopt(3)"""

MAPPED_BYTES: Final = 1024 * 1024
"""Larger buffers are mapped, and given back at once; glibc would raise this to 32 MiB by itself."""

HEAPS: Final = 2
"""One a processor of a small machine."""


def bound() -> bool:
    """Let all threads share two heaps; to be called before there are threads.

    Returns:
        Whether the C library could be told (glibc can, others need not be).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, HEAPS) and mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES))
