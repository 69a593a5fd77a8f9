"""Attempts wait in a row for their turn; who gives up before that leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

import trio
from attrs import define, field


@define
class _Row:
    lock: trio.Lock = field(factory=trio.Lock)
    waiting: int = 0


class Rows:
    """First come, first served, for each of many subjects; empty rows are not kept."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, _Row] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @asynccontextmanager
    async def first(self, who: Hashable) -> AsyncIterator[None]:
        """At the head of the row of this subject; who stands behind waits until it is left.

        The caller bounds how many wait (`p2pacs.accounts.sign_in`).
        """
        row = self._rows.setdefault(who, _Row())
        row.waiting += 1
        try:
            async with row.lock:
                yield
        finally:
            row.waiting -= 1
            if not row.waiting:
                del self._rows[who]
