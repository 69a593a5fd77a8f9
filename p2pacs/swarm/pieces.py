"""Chunks that the paced line has promised, and which goes next. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import define

from p2pacs.ids import StudyId, VirtualAddress


@define(eq=False)
class Piece:
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


class Pieces:
    """Promised chunks in the order of promising."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self._pieces)

    def add(
        self, member: VirtualAddress, study: StudyId, numbers: Iterable[int], priority: int
    ) -> None:
        """Promise chunks to a member; what is promised already is not promised twice."""
        there = {(one.study, one.number) for one in self._pieces if one.member == member}
        for number in numbers:
            if (study, number) not in there:
                there.add((study, number))
                self._pieces.append(Piece(member, study, number, priority))

    def next(self, can_take: Callable[[VirtualAddress], bool]) -> Piece | None:
        """What goes next: the most urgent, then what is begun, then what was promised first.

        A chunk is of use to nobody before it is whole, so chunks go one after the other; only
        where a link takes nothing now is it somebody else's turn.

        Args:
            can_take: Whether a block for this member would leave at once.
        """
        return min(
            (piece for piece in self._pieces if can_take(piece.member)),
            key=lambda piece: (-piece.priority, not piece.begun),
            default=None,
        )

    def remove(self, piece: Piece) -> None:
        """It is sent, or cannot be."""
        if piece in self._pieces:
            self._pieces.remove(piece)

    def take_out(self, where: Callable[[Piece], bool]) -> list[Piece]:
        """Take out the pieces for which this holds."""
        out = [piece for piece in self._pieces if where(piece)]
        self._pieces = [piece for piece in self._pieces if piece not in out]
        return out
