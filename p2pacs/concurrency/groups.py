"""Exception groups of nurseries that are nobody else's business."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

E = TypeVar("E", bound=Exception)


@contextmanager
def single_error() -> Iterator[None]:
    """The one exception of a nursery comes out as it was raised."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        error = group.exceptions[0]
        raise error from error.__cause__


def first_error(group: BaseExceptionGroup[E]) -> E:
    """One of the errors that several tasks ended with."""
    error = group.exceptions[0]
    return first_error(error) if isinstance(error, BaseExceptionGroup) else error
