"""Places of the navigation, of broker and hospital alike."""

from __future__ import annotations

from attrs import frozen


@frozen
class Way:
    """A place in the navigation."""

    path: str
    words: str
    right: str
    """What the role of who is signed in must have."""
