"""A partner: a linked member that takes part in a study. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from p2pacs.bitfield import Bitfield


@define
class Partner:
    """A linked member that joined the study."""

    version: int
    has: Bitfield
    fetching: bool
    priority: int = 0
    offers: bool = False
    """It sends what it offers; nothing is asked of it unasked."""
    moved_at: float = 0.0
    """When it last said that it has something (what it gets from here it does not say)."""
    announced: int = 0
    """Numbers that it named in `Have`: each once, so never more than a study has."""
    untold: list[int] = field(factory=list)
    """What is new here and it was not told of."""
    untold_since: float = 0.0
    hinted: list[int] = field(factory=list)
    """What an offer that it has not answered yet advises."""


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ascending [first, count] pairs."""
    result: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if result and sum(result[-1]) == number:
            result[-1] = (result[-1][0], result[-1][1] + 1)
        else:
            result.append((number, 1))
    return result
