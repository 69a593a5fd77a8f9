"""The work that is done in worker processes: what image codecs touch."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from p2pacs.concurrency.urgency import USUAL, Haste
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import WorkerError
from p2pacs.limits import MIB
from p2pacs.rendering.options import RenderOptions
from p2pacs.rendering.render import FrameInput, code_htj2k, decode_native, render
from p2pacs.study.coding import CodedBlob, CodedInstance, code
from p2pacs.study.compressed.description import CompressedShape, is_cut
from p2pacs.study.excerpt import ExcerptPart, decode_excerpt
from p2pacs.study.gathered import (
    Gathered,
    GatheredBlob,
    decode_blobs,
    decode_gathered,
    native_bytes,
)
from p2pacs.study.images import Coding, Picture
from p2pacs.study.images.form import IMAGE_BYTES
from p2pacs.study.slices import Slice, SlicePlan, code_one
from p2pacs.transcode.transcoding import transcode, transcoded_bytes
from p2pacs.workers.drawing import draw, prepare
from p2pacs.workers.pool import TUNING, Pool, PoolTuning, StartWorker, open_pool
from p2pacs.workers.process import WorkerProcess

DATA_TIMES: Final = 4
"""How often a data set may be in memory: as it came, in pieces, coded, and on its way."""

FRAME_TIMES: Final = 16
"""Bytes of memory for each byte of the one frame that is coded or decoded: its samples in the
depths that codecs work in, several times over."""

PICTURE_BYTES: Final = 256 * MIB
"""For decoding one frame to look at; the decoder itself has lower bounds."""


DRAWING_BYTES: Final = 1024 * MIB
"""For drawing a frame of which only the coded size is known; it has bounds of its own."""

log = structlog.get_logger(__name__)


class Workers:
    """Codes, decodes and converts in processes of their own. `open_workers` makes one."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def processes(self) -> frozenset[int]:
        """The numbers of the processes that run: for measuring."""
        return frozenset(self._pool.processes)

    @property
    def count(self) -> int:
        """How many processes there may be."""
        return self._pool.count

    @property
    def waiting(self) -> int:
        """Calls that wait for a process."""
        return self._pool.waiting

    @property
    def deaths(self) -> int:
        """Processes that ended in the middle of their work, since the start."""
        return self._pool.deaths

    async def try_out(self) -> None:
        """Have a process import what it needs.

        Raises:
            WorkerError: it could not start, or ended.
        """
        await self._pool.run(prepare, memory=PICTURE_BYTES)

    async def stay_ready(self) -> None:
        """Keep a process that has imported what it needs, until cancelled: for who must not wait
        until one has started."""
        while True:
            try:
                await self._pool.run(prepare, memory=PICTURE_BYTES)
            except WorkerError as error:
                log.warning("no worker process is ready", why=str(error))
            await trio.sleep(self._pool.tuning.idle / 2)

    async def code(
        self, instance: EncodedInstance, coding: Coding, urgency: Haste = USUAL
    ) -> CodedInstance:
        """See `p2pacs.study.coding.code`. What is more urgent is done before.

        Raises:
            BrokenInstanceError: it is not usable.
            WorkerError: it crashed a codec, or took too much memory or time.
        """
        size = len(instance.data)
        memory = _memory(size, IMAGE_BYTES if is_cut(instance.transfer_syntax_uid) else 0)
        return await self._pool.run(
            code, instance, coding, size=size, memory=memory, urgency=urgency
        )

    async def code_slice(
        self,
        data: bytes,
        piece: Slice,
        plan: SlicePlan,
        coding: Coding,
        urgency: Haste = USUAL,
    ) -> tuple[CodedBlob, ...]:
        """See `p2pacs.study.slices.code_one`.

        Raises:
            WorkerError: it crashed a codec, or took too much memory or time.
        """
        arguments = (data, piece.pieces, coding, plan.shape, plan.compressible)
        size = len(data)
        is_compressed = isinstance(plan.shape, CompressedShape)
        memory = _memory(size, IMAGE_BYTES if is_compressed else 0)
        return await self._pool.run(code_one, *arguments, size=size, memory=memory, urgency=urgency)

    async def decode(self, gathered: Gathered) -> EncodedInstance:
        """See `p2pacs.study.gathered.decode_gathered`; worth a process if it is ``heavy``.

        Raises:
            CodingError: it does not decode, or is not what was published.
            WorkerError: it crashed a codec, or took too much memory or time.
        """
        size = gathered.size
        memory = _memory(size, native_bytes(gathered.blobs))
        return await self._pool.run(decode_gathered, gathered, size=size, memory=memory)

    async def decode_blobs(self, blobs: tuple[GatheredBlob, ...]) -> bytes:
        """See `p2pacs.study.gathered.decode_blobs`.

        Raises:
            CodingError: one does not decode.
            WorkerError: it crashed a codec, or took too much memory or time.
        """
        size = sum(blob.size for blob in blobs)
        memory = _memory(size, native_bytes(blobs))
        return await self._pool.run(decode_blobs, blobs, size=size, memory=memory)

    async def excerpt(self, parts: tuple[ExcerptPart, ...]) -> bytes:
        """See `p2pacs.study.excerpt.decode_excerpt`.

        Raises:
            CodingError: it does not decode, or is not what was published.
            WorkerError: it crashed a codec, or took too much memory or time.
        """
        size = sum(part.blob.size for part in parts)
        memory = _memory(size, native_bytes(part.blob for part in parts))
        return await self._pool.run(decode_excerpt, parts, size=size, memory=memory)

    async def render(self, given: FrameInput, options: RenderOptions) -> bytes:
        """See `p2pacs.rendering.render.render`.

        Raises:
            BrokenInstanceError: the frame is not as its header says.
            NotAcceptableError: it is of a kind that is not drawn here.
            TranscodingError: it does not decode.
            WorkerError: it crashed something, or took too much memory or time.
        """
        memory = _memory(len(given.frame) + len(given.header)) + DRAWING_BYTES
        return await self._pool.run(render, given, options, size=len(given.frame), memory=memory)

    async def decode_native(self, given: FrameInput) -> bytes:
        """See `p2pacs.rendering.render.decode_native`.

        Raises:
            P2PacsError: as `render`.
        """
        memory = _memory(len(given.frame) + len(given.header)) + DRAWING_BYTES
        return await self._pool.run(decode_native, given, size=len(given.frame), memory=memory)

    async def code_htj2k(self, given: FrameInput) -> bytes:
        """See `p2pacs.rendering.render.code_htj2k`.

        Raises:
            P2PacsError: as `render`.
        """
        memory = _memory(len(given.frame) + len(given.header)) + DRAWING_BYTES
        return await self._pool.run(code_htj2k, given, size=len(given.frame), memory=memory)

    async def transcode(self, instance: EncodedInstance, target: str) -> EncodedInstance:
        """See `p2pacs.transcode.transcoding.transcode`.

        Raises:
            TranscodingError: it cannot be converted.
            WorkerError: it crashed a codec, or took too much memory or time.
        """
        made = await trio.to_thread.run_sync(transcoded_bytes, instance)
        size = len(instance.data) + made
        return await self._pool.run(transcode, instance, target, size=size, memory=_memory(size))

    async def picture(self, codec: int, coded: bytes) -> Picture:
        """See `p2pacs.study.images.picture.picture`.

        Raises:
            CodingError: it does not decode within its bounds, or too little of it is here.
            WorkerError: it crashed a codec, or took too much memory or time.
        """
        return await self._pool.run(draw, codec, coded, size=len(coded), memory=PICTURE_BYTES)


def _memory(size: int, native: int = 0) -> int:
    """What coding, decoding or converting a data set takes.

    Args:
        size: bytes of the data set.
        native: bytes of its largest frame as an image, where that may be larger.
    """
    return DATA_TIMES * size + FRAME_TIMES * min(max(size, native), IMAGE_BYTES)


@asynccontextmanager
async def open_workers(
    count: int | None = None, tuning: PoolTuning = TUNING, start: StartWorker = WorkerProcess
) -> AsyncIterator[Workers]:
    """Workers for a program; none of their processes outlives the block.

    Args:
        count: how many at most; None: one for each core.
        tuning: what the pool goes by.
        start: starts a process.
    """
    async with open_pool(count or os.cpu_count() or 1, tuning, start, prepare) as pool:
        yield Workers(pool)
