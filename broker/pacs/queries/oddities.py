"""What is wrong in a PACS for good is said once, not whenever it is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from p2pacs.dataset.json_model import Json

_REMEMBERED: Final = 10_000
"""Answers that were said to be left out: 32 bytes each."""


class LeftOutAnswers:
    """Answers of the PACS that cannot be used."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def new(self, answers: Iterable[Json]) -> int:
        """How many of these were not seen before."""
        digests = {
            hashlib.sha256(json.dumps(one, sort_keys=True).encode()).digest() for one in answers
        }
        fresh = digests - self._known
        if len(self._known) < _REMEMBERED:
            self._known |= fresh
        return len(fresh)
