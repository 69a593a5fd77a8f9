"""Numbers in paths and queries: whatever stands there, it is a number of a few digits or none."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from p2pacs.errors import NotFoundError
from p2pacs.phrases import Phrase

DIGITS: Final = 9
"""Of a number: nothing here counts to a thousand million. (Python refuses more than 4300 by a
ValueError of its own.)"""


def whole_number(text: str) -> int | None:
    """The number that a text is in decimal digits of ASCII; None if it is none, or too long."""
    if text.isascii() and text.isdigit() and len(text) <= DIGITS:
        return int(text)
    return None


def number_of(request: Request) -> int:
    """The number in a path (``{number}``).

    Raises:
        NotFoundError: it is none.
    """
    if (found := whole_number(request.path_params["number"])) is None:
        raise NotFoundError(Phrase("there is no such thing: its number is none"))
    return found
