"""Which language somebody gets, and the one of the request that is being answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

ENGLISH: Final = "en"
"""What all texts are written in, and what is given where nobody chose another."""

LANGUAGES: Final[Mapping[str, str]] = {
    ENGLISH: "English",
    "es": "Español",
    "pt": "Português",
    "de": "Deutsch",
}
"""Language (BCP 47) → its own name for itself."""

_LONGEST: Final = 1024
"""Characters of an Accept-Language header that are read."""

_MOST: Final = 32
"""Languages in it that are looked at."""

_RANGE: Final = re.compile(
    r"(?P<tag>[A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*"
    r"(?:;\s*[qQ]\s*=\s*(?P<quality>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)
"""A language range and its quality (RFC 9110, 12.5.4 and 12.4.2). Of the tag its language counts
alone: who wants ``pt-PT`` and reads no Portuguese of Brazil is rare."""

_current: Final[ContextVar[str]] = ContextVar("language", default=ENGLISH)
# trio gives each task, and what runs in a worker thread, the context of who started it: one request
# never sees the language of another.


def current() -> str:
    """The language that texts come in now."""
    return _current.get()


def speak(language: str) -> None:
    """From now on, in this task and those that it starts."""
    _current.set(language if language in LANGUAGES else ENGLISH)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """For a while: where one task writes for many readers."""
    before = _current.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _current.reset(before)


def chosen(*, cookie: str, accepted: str) -> str:
    """The language of who is not known to be signed in.

    Args:
        cookie: what was chosen in this browser; empty or unknown: nothing was.
        accepted: its Accept-Language header, or empty.
    """
    return cookie if cookie in LANGUAGES else best(accepted)


def best(accepted: str) -> str:
    """Of our languages the one that a browser likes best; English if it likes none.

    Args:
        accepted: an Accept-Language header (RFC 9110, 12.5.4). What is malformed in it is passed
            over.
    """
    qualities: dict[str, float] = {}
    for part in accepted[:_LONGEST].split(",")[:_MOST]:
        if (found := _RANGE.fullmatch(part.strip())) is not None:
            given = found["quality"]
            quality = 1.0 if given is None else float(given)
            tag = found["tag"].lower()
            qualities[tag] = max(quality, qualities.get(tag, 0.0))
    rest = qualities.get("*", 0.0)
    wanted = {language: qualities.get(language, rest) for language in LANGUAGES}
    if not any(wanted.values()):
        return ENGLISH
    order = [*qualities, *LANGUAGES]  # of those liked alike, the one that is named first
    return max(wanted, key=lambda language: (wanted[language], -order.index(language)))
