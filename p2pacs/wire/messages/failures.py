"""Errors as they travel: what tells the other side of one, and what is heard of theirs."""

from __future__ import annotations

from p2pacs import limits
from p2pacs.errors import P2PacsError, RemoteError
from p2pacs.texts import clean
from p2pacs.wire.messages.messages import QueryFailure


def failure(number: int, error: P2PacsError) -> QueryFailure:
    """What tells the other side of an error, in reply to a query or (0) as the last word."""
    # an error that quotes a file name may hold what is no Unicode
    text = str(error).encode(errors="replace").decode()
    return QueryFailure(number, error.wire_code, text[: limits.TEXT])


def from_wire(code: int, text: str) -> P2PacsError:
    """The error that a `QueryFailure` message carries; unknown codes give `RemoteError`.

    The text goes into logs and onto terminals here, so it is cleaned.
    """
    text = clean(text)
    for kind in _tree(P2PacsError):
        if kind.wire_code == code:
            return kind(text)
    return RemoteError(f"unknown failure {code}: {text}")


def _tree(root: type[P2PacsError]) -> list[type[P2PacsError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]
