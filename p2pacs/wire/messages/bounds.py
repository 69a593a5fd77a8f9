"""What each field of each message may hold: one table, by field or ``Kind.field``.

`p2pacs.wire.messages.codec` refuses to load while any field that needs a bound has none.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from p2pacs import limits
from p2pacs.identity.keys import KEY_BYTES
from p2pacs.identity.token import SECRET_BYTES


@frozen
class Bound:
    """The least and the most: of a number its value, of bytes and text their length."""

    least: int
    most: int
    items: int = 0
    """Items that a list may have; the rest then bounds each of them."""

    def __str__(self) -> str:
        one = str(self.most) if self.least == self.most else f"{self.least}..{self.most}"
        return f"<= {self.items} x {one}" if self.items else one


def _exactly(size: int) -> Bound:
    return Bound(size, size)


def _up_to(most: int) -> Bound:
    return Bound(0, most)


_NUMBER = _up_to(limits.STUDY_CHUNKS - 1)
_LIST_OF_NUMBERS = Bound(0, limits.STUDY_CHUNKS - 1, items=limits.REQUEST_NUMBERS)
_ENDPOINT: Final = 64
"""Characters of an address and a port: an IPv6 address in brackets has 41."""

_CERTIFICATE = Bound(0, 8 * limits.KIB)

ANY_INTEGER: Final = _up_to(2**63 - 1)
"""Versions, sequence numbers and rates: what a signed 64-bit column holds."""

ID: Final = Bound(1, 2**32 - 1)
"""Of a query and its reply."""

BOUNDS: Final[dict[str, Bound]] = {
    "QueryFailure.id": Bound(0, ID.most),
    "accepted": Bound(16, 16, items=limits.RECIPIENTS),
    "agent": _up_to(128),
    "authority": _CERTIFICATE,
    "box_key": _exactly(KEY_BYTES),
    "broker_key": _exactly(KEY_BYTES),
    "callers": Bound(0, limits.AE_TITLE, items=limits.CALLERS),
    "certificate": _CERTIFICATE,
    "chunk": _exactly(32),
    "chunks": Bound(1, limits.OFFERED_CHUNKS),
    "code": _up_to(0xFFFF),
    "count": ANY_INTEGER,
    "csr": _up_to(4 * limits.KIB),
    "Block.data": _up_to(limits.BLOCK_BYTES),
    "SegmentAnswer.data": _up_to(limits.CHUNK_BYTES),
    "Instances.series": Bound(0, limits.FRAME_BYTES, items=limits.FIND_RESULTS),
    "delay": _up_to(10_000),
    "delegation": _exactly(limits.DELEGATION_BYTES),
    "directory": _up_to(limits.DIRECTORY_BYTES),
    "endpoint": Bound(1, _ENDPOINT),
    "endpoints": Bound(1, 300, items=limits.ENDPOINTS),
    "entry": _up_to(limits.CHUNK_BYTES),
    "entries": Bound(0, limits.FRAME_BYTES, items=limits.CATALOGUE_PAGE),
    "have": _up_to(limits.STUDY_CHUNKS // 8),
    "holders": Bound(16, 16, items=limits.HOLDERS),
    "id": ID,
    "key": _exactly(KEY_BYTES),
    "member": _exactly(16),
    "members": Bound(16, 16, items=limits.COPIES),
    "nonce": _up_to(limits.NONCE_BYTES),
    "number": _NUMBER,
    "priority": _up_to(3),
    "numbers": _LIST_OF_NUMBERS,
    "offer": _up_to(limits.OFFER_BYTES),
    "offset": _up_to(limits.CHUNK_BYTES),
    "proof": _up_to(limits.NONCE_BYTES),
    "protocol": _up_to(0xFFFF),
    "purpose": _up_to(16),
    "ranges": Bound(0, limits.STUDY_CHUNKS, items=limits.HAVE_RANGES),
    "recipients": Bound(16, 16, items=limits.RECIPIENTS),
    "records": Bound(0, 4 * limits.KIB, items=limits.AUDIT_RECORDS),
    "root": _up_to(limits.ROOT_BYTES),
    "seen": Bound(1, _ENDPOINT),
    "segment": _up_to(limits.CHUNK_BYTES),
    "secret": _exactly(SECRET_BYTES),
    "sender": _exactly(16),
    "settings": _up_to(4 * limits.KIB),
    "shares": Bound(0, 1000, items=limits.COPIES),
    "signed": _up_to(limits.DIRECTORY_BYTES),
    "size": _up_to(limits.CHUNK_BYTES),
    "study": _exactly(16),
    "reached": Bound(1, 300, items=limits.ENDPOINTS),
    "missed": Bound(1, 300, items=limits.ENDPOINTS),
    "text": _up_to(limits.TEXT),
    "time": ANY_INTEGER,
    "uid": Bound(1, limits.UID_BYTES),
    "versions": Bound(0, ANY_INTEGER.most, items=limits.COPIES),
    "why": _up_to(limits.TEXT),
    "wrapped_key": _up_to(256),
    "yours": Bound(1, _ENDPOINT),
}
"""By field name, or by ``Kind.field`` where the same name means two things."""
