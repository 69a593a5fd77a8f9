"""Bodies of several parts as a server writes them (RFC 2387, PS3.18 8.6.1.2). Pure."""

from __future__ import annotations

import hashlib

from p2pacs.dicomweb.accept import RELATED


def boundary_for(etag: str) -> str:
    """A line that does not stand in a body by chance.

    It is the same for the same thing: ranges of a body of parts count its boundaries, too, and are
    asked for one by one.
    """
    return "p2pacs-" + hashlib.sha256(b"boundary " + etag.encode()).hexdigest()[:32]


def related(media_type: str, boundary: str) -> str:
    """The Content-Type of a body whose parts are of this type."""
    return f'{RELATED}; type="{media_type}"; boundary={boundary}'


def part_head(
    boundary: str, content_type: str, location: str | None = None, size: int | None = None
) -> bytes:
    """What stands before a part.

    Args:
        boundary: of the body.
        content_type: of the part.
        location: URL of what it is, where that is told.
        size: bytes of it, where known: who reads need not look for the next boundary then.
    """
    where = "" if location is None else f"Content-Location: {location}\r\n"
    length = "" if size is None else f"Content-Length: {size}\r\n"
    head = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n{where}{length}\r\n"
    return head.encode("latin-1")


def closing(boundary: str) -> bytes:
    """What stands behind the last part."""
    return f"\r\n--{boundary}--\r\n".encode("latin-1")
