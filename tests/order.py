"""In which order test files run: what waits for real programs, spread among what only computes.

pytest-xdist gives files to its processes by the number of their tests, so that the files with one
long test, of a whole network or a browser, would come last: all at once, each waiting for its
processes beside the others', and at the very end one alone while the other cores have nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")

REAL = ("chromium", "disk", "lab", "nginx", "orthanc", "postgresql", "system", "viewer")
"""Markers of tests that start programs."""

SPREAD = 0.8
"""The part of the others among which they are spread: the rest fills what is left at the end."""


def among(few: Sequence[T], many: Sequence[T], spread: float = SPREAD) -> list[T]:
    """Both in their order, the few at even distances in the first part of the many."""
    ordered: list[T] = []
    taken = 0
    for number, one in enumerate(few):
        until = round(number * spread * len(many) / len(few))
        ordered += [*many[taken:until], one]
        taken = until
    return [*ordered, *many[taken:]]


def ordered(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Tests file by file, the files with real programs spread."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    real = [name for name, tests in files.items() if any(map(_is_real, tests))]
    others = [name for name in files if name not in real]
    return [item for name in among(real, others) for item in files[name]]


def _is_real(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(marker) for marker in REAL)
