"""A large instance on its way to the version writer: a few slices of it are in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from typing import Final

import trio
from attrs import define, field

from p2pacs.concurrency.budget import Budget
from p2pacs.concurrency.urgency import USUAL, Haste
from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import CorruptStoreError, PacsDataError
from p2pacs.publish.coder import SliceCoder
from p2pacs.study.coding import CodedBlob, CodedInstance
from p2pacs.study.slices import Slice, SlicePlan, plan_slices, without_bytes

_AHEAD: Final = 64
"""Slices that are read before the first of them was taken; the budget bounds them, too."""


@define(eq=False)
class _CodedSlice:
    size: int
    done: trio.Event = field(factory=trio.Event)
    blobs: tuple[CodedBlob, ...] = ()


class LargeJob:
    """One instance: `read` in one task, `slices` and `finished` in another one."""

    def __init__(
        self,
        instance: LargeInstance,
        budget: Budget,
        coder: SliceCoder,
        urgency: Haste = USUAL,
    ) -> None:
        self._instance = instance
        self._budget = budget
        self._coder = coder
        self._urgency = urgency
        self._send, self._receive = trio.open_memory_channel[_CodedSlice](_AHEAD)
        self._taken: list[CodedBlob] = []
        self._held = 0
        self._failed: PacsDataError | None = None
        self._plan: SlicePlan | None = None

    async def read(self, nursery: trio.Nursery) -> None:
        """Read all of it, in order, and have it coded; returns when the last slice was read."""
        digest = hashlib.sha256()
        async with self._send:
            try:
                self._plan = plan = await trio.to_thread.run_sync(plan_slices, self._instance)
                for piece in plan.slices:
                    coded = _CodedSlice(piece.end - piece.start)
                    await self._budget.acquire(coded.size, self._urgency)
                    self._held += coded.size
                    data = await trio.to_thread.run_sync(self._read, piece, digest)
                    nursery.start_soon(self._code, coded, data, piece, plan)
                    del data
                    await self._send.send(coded)
            except PacsDataError as error:
                self._failed = error
            except CorruptStoreError as error:
                self._failed = PacsDataError(str(error))
            else:
                if digest.digest() != self._instance.sha256:
                    self._failed = PacsDataError("an instance is not what came: send it again")

    def _read(self, piece: Slice, digest: hashlib._Hash) -> bytes:
        data = self._instance.read(piece.start, piece.end)
        digest.update(data)
        return data

    async def _code(self, coded: _CodedSlice, data: bytes, piece: Slice, plan: SlicePlan) -> None:
        coded.blobs = await self._coder(data, piece, plan)
        coded.done.set()

    async def slices(self) -> AsyncGenerator[tuple[CodedBlob, ...], None]:
        """The coded slices in order; who takes the next has done with the one before."""
        async for coded in self._receive:
            await coded.done.wait()
            yield coded.blobs
            self._taken += without_bytes(coded.blobs)
            self._release(coded.size)

    @property
    def uids(self) -> tuple[str, str]:
        """Study and Series Instance UID, once the first slice is there."""
        plan = self._plan
        return ("", "") if plan is None else (plan.study_instance_uid, plan.series_instance_uid)

    def finished(self) -> CodedInstance | PacsDataError:
        """The instance, after its last slice was laid; or what is wrong with it."""
        if self._failed is not None or self._plan is None:
            return self._failed or PacsDataError("an instance could not be read")
        return self._plan.coded(self._instance, tuple(self._taken))

    def close(self) -> None:
        """Give back what of the budget is held still."""
        self._release(self._held)

    def _release(self, size: int) -> None:
        self._held -= size
        self._budget.release(size)
