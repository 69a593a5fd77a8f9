"""Coding for publication: in workers, and without image codecs what a worker did not survive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
import trio

from p2pacs.concurrency.urgency import USUAL, Haste
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import WorkerError
from p2pacs.study.coding import CodedBlob, CodedInstance, code_plain
from p2pacs.study.images import Coding
from p2pacs.study.slices import Slice, SlicePlan, code_one, stays_as_it_is
from p2pacs.workers.coding import Workers

log = structlog.get_logger(__name__)

Coder = Callable[[EncodedInstance], Awaitable[CodedInstance]]
"""Codes one instance; raises `BrokenInstanceError` where it is not usable."""


SliceCoder = Callable[[bytes, Slice, SlicePlan], Awaitable[tuple[CodedBlob, ...]]]
"""Codes a slice of a large instance, whose bytes it is given."""


async def code_slice_plain(data: bytes, piece: Slice, plan: SlicePlan) -> tuple[CodedBlob, ...]:
    """A `SliceCoder` without image codecs, and without processes."""
    return await trio.to_thread.run_sync(
        code_one, data, piece.pieces, None, None, plan.compressible
    )


def slice_coder(workers: Workers, coding: Coding, urgency: Haste = USUAL) -> SliceCoder:
    """As `coder`, for slices."""

    async def code(data: bytes, piece: Slice, plan: SlicePlan) -> tuple[CodedBlob, ...]:
        if stays_as_it_is(piece, plan):  # to a worker and back it would be copied six times
            return await code_slice_plain(data, piece, plan)
        try:
            return await workers.code_slice(data, piece, plan, coding, urgency)
        except WorkerError as error:
            log.warning("a part of an instance is published without image coding", why=str(error))
            return await code_slice_plain(data, piece, plan)

    return code


def coder(workers: Workers, coding: Coding, urgency: Haste = USUAL) -> Coder:
    """A coder of native frames.

    Args:
        workers: where it is done.
        coding: how native frames are coded.
        urgency: of what is coded: calls of the more urgent go first.
    """

    async def code(instance: EncodedInstance) -> CodedInstance:
        try:
            return await workers.code(instance, coding, urgency)
        except WorkerError as error:
            log.warning("an instance is published without image coding", why=str(error))
            return await trio.to_thread.run_sync(code_plain, instance)

    return code
