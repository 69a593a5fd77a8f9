"""Elements written in another encoding: every value as it was, but for its byte order (PS3.5 7)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import frozen

from p2pacs.errors import TranscodingError
from p2pacs.transcode.elements import UNDEFINED, Element, SequenceItem, sample_bits, sample_sign
from p2pacs.transcode.syntaxes import Encoding
from p2pacs.transcode.vrs import LONG, SHORT_BYTES, implied_vr, swapped

_IMPLICIT_HEAD: Final = struct.Struct("<HHI")
_SHORT_HEAD: Final = struct.Struct("<HH2sH")
_LONG_HEAD: Final = struct.Struct("<HH2sxxI")
_GROUP_LENGTH_BYTES: Final = 12
"""Of an element with a value of four bytes, in every encoding."""
_ITEM_END: Final = _IMPLICIT_HEAD.pack(0xFFFE, 0xE00D, 0)
_SEQUENCE_END: Final = _IMPLICIT_HEAD.pack(0xFFFE, 0xE0DD, 0)

Stretch = bytes | bytearray | memoryview
"""A stretch of a data set; values are not copied before all is joined."""


@frozen
class NewValue:
    """What stands in an element instead."""

    vr: str
    value: bytes | bytearray


ElementChanges = Mapping[int, NewValue | None]
"""By tag; None: the element is left out. What is not there yet is added in its place."""


@frozen
class _Written:
    tag: int
    chunks: tuple[Stretch, ...]
    size: int
    before: int
    """Bytes that it had; 0 for a new one."""


def _written(tag: int, chunks: tuple[Stretch, ...], before: int) -> _Written:
    return _Written(tag, chunks, sum(len(chunk) for chunk in chunks), before)


@frozen
class _Samples:
    """Of the image that elements belong to: what Implicit VR says of theirs by."""

    signed: bool = False
    bits: int = 16


def rewritten(
    data: bytes,
    root: SequenceItem,
    target: Encoding,
    changes: Callable[[SequenceItem, int], ElementChanges],
) -> bytes:
    """A data set in another encoding.

    Args:
        data: the data set.
        root: its elements.
        target: a little endian encoding.
        changes: what is to be changed in an item at a depth: of those with encapsulated pixel data.

    Raises:
        TranscodingError: a length does not fit.
    """
    level = _Writer(data, target, changes).level(root, _Samples(), 0)
    return b"".join(chunk for one in level for chunk in one.chunks)


class _Writer:
    def __init__(
        self, data: bytes, target: Encoding, changes: Callable[[SequenceItem, int], ElementChanges]
    ) -> None:
        self._data = data
        self._view = memoryview(data)
        self._target = target
        self._changes = changes

    def level(self, item: SequenceItem, outer: _Samples, depth: int) -> list[_Written]:
        """The elements of an item at a depth, of a data set whose samples are such."""
        samples = _Samples(
            sample_sign(self._data, item, outer.signed),
            sample_bits(self._data, item, outer.bits),
        )
        changes: ElementChanges = {}
        if any(element.encapsulated for element in item.elements):
            changes = self._changes(item, depth)
        left = dict(changes)
        written: list[_Written] = []
        for element in item.elements:
            for tag in sorted(tag for tag in left if tag < element.tag) if left else ():
                written += self._new(tag, left.pop(tag), 0)
            if element.tag in left:
                before = element.end - element.start
                written += self._new(element.tag, left.pop(element.tag), before)
            elif element.tag not in changes:
                written.append(self._old(element, item.encoding, samples, depth))
        for tag in sorted(left):
            written += self._new(tag, left[tag], 0)
        return [*_with_group_lengths(written)]

    def _new(self, tag: int, new: NewValue | None, before: int) -> Iterator[_Written]:
        if new is not None:
            yield _written(tag, (self._head(tag, new.vr, len(new.value)), new.value), before)

    def _old(self, element: Element, encoding: Encoding, samples: _Samples, depth: int) -> _Written:
        before = element.end - element.start
        if element.items is not None:
            return _written(
                element.tag, self._sequence(element, element.items, samples, depth), before
            )
        if encoding == self._target:
            return _written(element.tag, (self._view[element.start : element.end],), before)
        vr = element.vr or implied_vr(element.tag, signed=samples.signed, wide=samples.bits > 8)
        value: Stretch = self._view[element.value : element.value_end]
        if not encoding.little:
            value = swapped(vr, bytes(value))
        return _written(element.tag, (self._head(element.tag, vr, len(value)), value), before)

    def _sequence(
        self, element: Element, items: tuple[SequenceItem, ...], samples: _Samples, depth: int
    ) -> tuple[Stretch, ...]:
        implicit = all(item.encoding.implicit for item in items)
        if element.vr == "UN" and not self._target.implicit and implicit:
            # It is in Implicit VR in every transfer syntax (PS3.5 6.2.2, note 2), and stays.
            head = self._head(element.tag, "UN", UNDEFINED)
            return head, self._view[element.value : element.end]
        chunks: list[Stretch] = []
        for item in items:
            inner = self.level(item, samples, depth + 1)
            size = sum(one.size for one in inner)
            chunks.append(_item_head(UNDEFINED if item.undefined else _fitting(size)))
            chunks += (chunk for one in inner for chunk in one.chunks)
            if item.undefined:
                chunks.append(_ITEM_END)
        if element.undefined:
            return self._head(element.tag, "SQ", UNDEFINED), *chunks, _SEQUENCE_END
        size = _fitting(sum(len(chunk) for chunk in chunks))
        return self._head(element.tag, "SQ", size), *chunks

    def _head(self, tag: int, vr: str, length: int) -> bytes:
        group, number = tag >> 16, tag & 0xFFFF
        if self._target.implicit:
            return _IMPLICIT_HEAD.pack(group, number, length)
        if vr in LONG:
            return _LONG_HEAD.pack(group, number, vr.encode(), length)
        if length > SHORT_BYTES + 1:
            return _LONG_HEAD.pack(group, number, b"UN", length)
        return _SHORT_HEAD.pack(group, number, vr.encode(), length)


def _with_group_lengths(written: list[_Written]) -> Iterator[_Written]:
    """Group lengths (PS3.5 7.2) that were right stay right; others stay as they are."""
    for place, one in enumerate(written):
        if one.tag & 0xFFFF or one.size != _GROUP_LENGTH_BYTES:
            yield one
            continue
        group = [other for other in written[place + 1 :] if other.tag >> 16 == one.tag >> 16]
        joined = b"".join(one.chunks)
        said, size = int.from_bytes(joined[-4:], "little"), sum(other.size for other in group)
        if said == sum(other.before for other in group) and size != said:
            chunks = (joined[:-4], _fitting(size).to_bytes(4, "little"))
            yield _Written(one.tag, chunks, one.size, one.before)
        else:
            yield one


def _item_head(length: int) -> bytes:
    return _IMPLICIT_HEAD.pack(0xFFFE, 0xE000, length)


def _fitting(length: int) -> int:
    if length >= UNDEFINED:
        raise TranscodingError("it would be too long for a data set")
    return length
