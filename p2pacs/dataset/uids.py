"""UIDs as they are: PS3.5 9.1 wants digits and dots, at most 64; devices write others, too."""

from __future__ import annotations

import re
from typing import Final

from p2pacs.limits import UID_BYTES

_UID: Final = re.compile(r"(?=.*[0-9A-Za-z])(?! )[ !$&'()+,.0-:;=@A-Z_a-z~-]+(?<! )")
_STANDARD: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")

UID_CHARACTERS: Final = 64
"""Of a UID by the standard (PS3.5 9.1), and so of one in a DIMSE message."""


def is_uid(value: str) -> bool:
    """Whether a text may stand where a UID is expected: printable ASCII with a letter or digit, at
    most `UID_BYTES`, without what separates values (backslash), names of folders or parts of a
    URL, or is a wild card."""
    return len(value) <= UID_BYTES and _UID.fullmatch(value) is not None


def is_standard_uid(value: str) -> bool:
    """Whether a UID is one that every PACS takes: digits and dots, at most 64."""
    return len(value) <= UID_CHARACTERS and _STANDARD.fullmatch(value) is not None
