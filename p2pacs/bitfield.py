"""A growing set of small numbers with a compact byte form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Bitfield:
    """A mutable set of non-negative integers, kept as bits.

    The byte form has the most significant bit first, like BEP 3's bit field:
    number 0 is the bit 0x80 of byte 0. Trailing zero bytes carry no meaning.
    """

    __slots__ = ("_bits", "_count")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        self._count = 0
        for number in numbers:
            self.add(number)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Bitfield:
        """The set that `bytes` gave."""
        field = cls()
        field._bits = bytearray(raw)
        field._count = int.from_bytes(raw, "big").bit_count()
        return field

    def __bytes__(self) -> bytes:
        return bytes(self._bits).rstrip(b"\0")

    def __contains__(self, number: int) -> bool:
        index = number >> 3
        return index < len(self._bits) and bool(self._bits[index] & (0x80 >> (number & 7)))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for index, byte in enumerate(self._bits):
            if byte:
                yield from (index * 8 + bit for bit in range(8) if byte & (0x80 >> bit))

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self._bits)

    @property
    def highest(self) -> int:
        """The largest number in the set; -1 if it is empty."""
        bits = self._bits.rstrip(b"\0")
        if not bits:
            return -1
        return 8 * len(bits) - (bits[-1] & -bits[-1]).bit_length()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitfield) and bytes(self) == bytes(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Bitfield of {self._count}>"

    def add(self, number: int) -> bool:
        """Add a number; whether it was new."""
        if number in self:
            return False
        index = number >> 3
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits)))
        self._bits[index] |= 0x80 >> (number & 7)
        self._count += 1
        return True

    def add_range(self, first: int, end: int) -> None:
        """Add the numbers from ``first`` below ``end``; cheap: no loop over them."""
        if first >= end:
            return
        low, high = first >> 3, -(-end // 8)
        if high > len(self._bits):
            self._bits.extend(bytes(high - len(self._bits)))
        before = int.from_bytes(self._bits[low:high], "big")
        mask = ((1 << (end - first)) - 1) << (8 * high - end)
        after = before | mask
        self._bits[low:high] = after.to_bytes(high - low, "big")
        self._count += after.bit_count() - before.bit_count()

    def discard(self, number: int) -> bool:
        """Take a number out; whether it was in."""
        if number not in self:
            return False
        self._bits[number >> 3] &= ~(0x80 >> (number & 7)) & 0xFF
        self._count -= 1
        return True

    def count_range(self, first: int, end: int) -> int:
        """How many numbers from ``first`` below ``end`` are in the set; no loop over them."""
        if first >= end:
            return 0
        low, high = first >> 3, -(-end // 8)
        bits = int.from_bytes(self._bits[low:high].ljust(high - low, b"\0"), "big")
        mask = ((1 << (end - first)) - 1) << (8 * high - end)
        return (bits & mask).bit_count()

    def count_beyond(self, *others: Bitfield) -> int:
        """How many numbers are in this set and in none of the others; cheap: no loop over them."""
        return self._beyond(others).bit_count()

    def beyond(self, *others: Bitfield) -> Bitfield:
        """The numbers that are in this set and in none of the others."""
        return Bitfield.from_bytes(self._beyond(others).to_bytes(len(self._bits), "big"))

    def _beyond(self, others: tuple[Bitfield, ...]) -> int:
        size = len(self._bits)
        theirs = 0
        for other in others:
            bits = other._bits[:size]
            theirs |= int.from_bytes(bits, "big") << 8 * (size - len(bits))
        return int.from_bytes(self._bits, "big") & ~theirs

    def missing(self, total: int) -> Iterator[int]:
        """The numbers below ``total`` that are not in the set, ascending."""
        for number in range(total):
            if number not in self:
                yield number

    def copy(self) -> Bitfield:
        """A copy that changes apart."""
        return Bitfield.from_bytes(bytes(self._bits))
