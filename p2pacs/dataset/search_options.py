"""What a search does beyond hierarchical search and literal matching (PS3.4 C.5.1.1), and a
retrieval beyond a hierarchical one (C.5.2.1, C.5.3.1)."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class SearchOptions:
    """What was agreed on for a search or a retrieval: by extended negotiation, a setting, or a
    parameter."""

    relational: bool = False
    """Unique keys of the levels above need no value (PS3.4 C.4.1.3.2.2, C.4.2.2.2)."""
    combined: bool = False
    """A range of dates and one of times of the same event are one range (PS3.4 C.2.2.2.5)."""
    fuzzy: bool = False
    """Person names match those that sound alike, too (PS3.4 C.2.2.2.1)."""


LITERAL: Final = SearchOptions()
"""Hierarchical and literal, as where nothing was agreed on."""
