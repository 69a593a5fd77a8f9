"""Chunks that the paced line has promised, and which goes next. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import define

from p2pacs.ids import StudyId, VirtualAddress


@define(eq=False)
class PromisedChunk:
    """A chunk on its way to one member."""

    member: VirtualAddress
    study: StudyId
    number: int
    priority: int
    data: bytes | None = None
    """None until it is read from the store."""
    offset: int = 0

    @property
    def begun(self) -> bool:
        """Whether some of it is sent."""
        return self.offset > 0


class SendQueue:
    """Promised chunks in the order of promising."""

    def __init__(self) -> None:
        self._chunks: list[PromisedChunk] = []

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[PromisedChunk]:
        return iter(self._chunks)

    def add(
        self, member: VirtualAddress, study: StudyId, numbers: Iterable[int], priority: int
    ) -> list[PromisedChunk]:
        """Promise chunks to a member; what is promised already is not promised twice.

        Returns:
            What was not promised before.
        """
        there = {(one.study, one.number) for one in self._chunks if one.member == member}
        fresh = [number for number in dict.fromkeys(numbers) if (study, number) not in there]
        chunks = [PromisedChunk(member, study, number, priority) for number in fresh]
        self._chunks += chunks
        return chunks

    def next(self, ready: Callable[[PromisedChunk], bool]) -> PromisedChunk | None:
        """What goes next: the most urgent, then what is begun, then what was promised first.

        A chunk is of use to nobody before it is whole, so chunks go one after the other; only
        where a link takes nothing now is it somebody else's turn.

        Args:
            ready: Whether a block of this chunk would leave at once.
        """
        return min(
            (chunk for chunk in self._chunks if ready(chunk)),
            key=lambda chunk: (-chunk.priority, not chunk.begun),
            default=None,
        )

    def remove(self, chunk: PromisedChunk) -> None:
        """It is sent, or cannot be."""
        if chunk in self._chunks:
            self._chunks.remove(chunk)

    def take_out(self, where: Callable[[PromisedChunk], bool]) -> list[PromisedChunk]:
        """Take out the chunks for which this holds."""
        out = [chunk for chunk in self._chunks if where(chunk)]
        self._chunks = [chunk for chunk in self._chunks if chunk not in out]
        return out
