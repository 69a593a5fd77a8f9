"""Reassembly of chunks from blocks. The caller checks order, offsets and sizes."""

from __future__ import annotations

from p2pacs.ids import VirtualAddress
from p2pacs.wire.messages.messages import Block


class Assembly:
    """Chunks of which some blocks have come, by member."""

    def __init__(self) -> None:
        self._parts: dict[VirtualAddress, dict[int, bytearray]] = {}

    def add(self, member: VirtualAddress, block: Block) -> bytes | None:
        """Take the next block of a chunk; the whole chunk if this was the last one."""
        if len(block.data) == block.size:
            return block.data
        parts = self._parts.setdefault(member, {})
        if block.offset == 0:
            parts[block.number] = bytearray()
        part = parts[block.number]
        part += block.data
        if len(part) < block.size:
            return None
        del parts[block.number]
        return bytes(part)

    def forget(self, member: VirtualAddress, number: int) -> None:
        """The rest of a chunk will not come from this member."""
        if parts := self._parts.get(member):
            parts.pop(number, None)

    def drop(self, member: VirtualAddress) -> None:
        """Nothing more will come from this member."""
        self._parts.pop(member, None)
