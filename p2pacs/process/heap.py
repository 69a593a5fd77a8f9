"""Tells the C library how to hold memory: near what is used, or ready for the next image; and
Python how often to look for cycles in it.

glibc gives threads heaps of their own (up to eight a processor), and each keeps what its
thread once needed: of a broker that publishes, that was about 30 MB of 215.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""mallopt(3)"""

MAPPED_BYTES: Final = 1024 * 1024
"""Larger buffers are mapped, and given back at once; glibc would raise this to 32 MiB by itself."""

HEAPS: Final = 2
"""One a processor of a small machine."""

READY_BYTES: Final = 8 * 1024 * 1024
"""Free memory at the end of each heap from which on it is given back. glibc would at 128 KiB, and
what is as large as an image then takes memory anew and touches it for the first time, again and
again: more than half of the time in which images that lie ready are given to a workstation."""

KEPT_BYTES: Final = 32 * 1024 * 1024
"""What a codec takes for an image of 512 x 512, again and again; more glibc does not keep."""


def bound() -> bool:
    """Let all threads share two heaps; to be called before there are threads.

    Returns:
        Whether the C library could be told (glibc can, others need not be).
    """
    return (
        _set(_M_ARENA_MAX, HEAPS)
        and _set(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        and _set(_M_TRIM_THRESHOLD, READY_BYTES)
    )


def keep() -> bool:
    """Let a process that codes image after image keep the memory of the last one.

    Mapping it anew and touching it for the first time takes a quarter of the time that JPEG XL
    needs for an image.

    Returns:
        Whether the C library could be told.
    """
    return _set(_M_MMAP_THRESHOLD, KEPT_BYTES) and _set(_M_TRIM_THRESHOLD, 2 * KEPT_BYTES)


@contextmanager
def loading() -> Iterator[None]:
    """Modules are imported inside the block: no search for cycles then, nor ever through them.

    Modules make nothing but what stays, and Python goes through all of it several times while they
    are imported, and again when the program ends: half a second of the two that a broker needed
    to start and stop.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def settled() -> Iterator[None]:
    """What is there now stays: no search for cycles goes through it inside the block.

    A program has 140,000 objects when its modules are loaded; a whole search stops everything
    for 80 ms, which is eight times what may block the loop.
    """
    was_frozen = gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()


def _set(parameter: int, value: int) -> bool:
    try:
        return bool(ctypes.CDLL(None).mallopt(parameter, value))
    except (AttributeError, OSError, TypeError):
        return False
