"""An instance that is too large to be in memory as a whole: its bytes are read where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from p2pacs.limits import MIB

WHOLE_BYTES: Final = 16 * MIB
"""A data set of at most so much is read, coded and sent as a whole: nearly all are."""


@frozen
class LargeInstance:
    """As `p2pacs.dataset.instance.EncodedInstance`, with a way to its data set instead of it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sha256: bytes
    """Of its data set: what is read may have other bytes by now."""
    size: int
    """Bytes of it."""
    read: Callable[[int, int], bytes] = field(repr=False)
    """These bytes of it (the first, and the one after the last). In any thread; raises
    `P2PacsError` where they cannot be had."""
