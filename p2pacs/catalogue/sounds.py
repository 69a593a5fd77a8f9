"""Person names that sound alike (fuzzy semantic matching, PS3.4 C.2.2.2.1), pure.

Each word of the key must sound like a word of the name, whatever their order, component and group:
``Maier^Anna`` finds ``MEYER^Hans^Anna`` and ``Anna Mayer``. Words of Latin letters sound alike if
they have one Soundex (the American one: first letter and three digits for the consonants after
it); accents, ligatures and case count for nothing. Words of other scripts must be equal but for
case. A key finds what it finds literally, too (`p2pacs.catalogue.matching`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import Final

_SEPARATORS: Final = re.compile(r"[\^=\s\-'\u2019.,]+")
_WILD: Final = "*?"

_LETTERS: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that no normal form of Unicode takes apart."""

_DIGITS: Final = {
    letter: digit
    for digit, letters in {
        "1": "bfpv", "2": "cgjkqsxz", "3": "dt", "4": "l", "5": "mn", "6": "r", "0": "aeiouy",
    }.items()
    for letter in letters
}  # fmt: skip


def sounds(name: str) -> list[str]:
    """How each word of a name sounds."""
    return [sound(word) for word in _SEPARATORS.split(name) if word]


def wanted_sounds(key: str) -> list[str] | None:
    """The sounds that a key asks for; None where it can be matched literally only.

    Wild cards at either end of a word, which many workstations add to every name, are left out;
    within a word they leave no word to compare.
    """
    words = [word.strip(_WILD) for word in _SEPARATORS.split(key)]
    if any(set(_WILD) & set(word) for word in words):
        return None
    return [sound(word) for word in words if word] or None


@lru_cache(maxsize=4096)
def sound(word: str) -> str:
    """The Soundex of a word of Latin letters, else the word itself in small letters."""
    plain = _plain(word)
    if not (plain.isascii() and plain.isalpha()):
        return plain
    # h and w do not part two consonants of one sound, vowels do.
    digits = [
        _DIGITS[char] for char in plain[:1] + re.sub("[hw]", "", plain[1:]) if char in _DIGITS
    ]
    runs = "".join(digit for digit, _ in groupby(digits))
    rest = (runs[1:] if plain[0] in _DIGITS else runs).replace("0", "")
    return plain[0].upper() + (rest + "000")[:3]


def _plain(word: str) -> str:
    """Without case and accents."""
    apart = unicodedata.normalize("NFKD", word.casefold().translate(_LETTERS))
    return "".join(char for char in apart if not unicodedata.combining(char))
