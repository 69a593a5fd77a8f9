"""Answers to a C-FIND."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Self

from pydicom.dataset import Dataset


class FindAnswers:
    """Iterates over the answers; what did not count in the matching is known of each."""

    def __init__(self, answers: Iterator[Dataset], ignored: Set[str] = frozenset()) -> None:
        """Answers.

        Args:
            answers: data sets, one an entity.
            ignored: tags of keys with a value that was not matched; may change with each answer.
        """
        self._answers = answers
        self._ignored = ignored

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Dataset:
        return next(self._answers)

    @property
    def ignored(self) -> Set[str]:
        """Tags of keys that were not matched of the last answer: it may be one too many (status
        0xFF01 instead of 0xFF00, PS3.4 C.4.1.1.4)."""
        return self._ignored
