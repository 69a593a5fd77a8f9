"""In which transfer syntax to send an instance (pure)."""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from p2pacs.transcode.syntaxes import TARGETS, encoding_of, name_of


@frozen
class Choice:
    """What to send."""

    syntax: str | None
    """The stored transfer syntax, or the one to convert to; None if it cannot be sent."""
    reason: str = ""
    """Why it cannot."""


def choose(sop_class: str, stored: str, accepted: Collection[tuple[str, str]]) -> Choice:
    """In which transfer syntax to send an instance.

    As stored where that is accepted; else decoded, explicit rather than implicit.

    Args:
        sop_class: of the instance.
        stored: its transfer syntax.
        accepted: pairs of SOP Class and transfer syntax that the receiver accepts.
    """
    if (sop_class, stored) in accepted:
        return Choice(stored)
    target = next((one for one in TARGETS if (sop_class, one) in accepted), None)
    if target is None:
        return Choice(None, f"{name_of(stored)} not accepted, nor Explicit or Implicit VR")
    if encoding_of(stored) is None:
        return Choice(None, f"{name_of(stored)} not accepted, and cannot be decoded here")
    return Choice(target)
