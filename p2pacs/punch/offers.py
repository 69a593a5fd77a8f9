"""Where a member may be found, as it tells one other member through a neighbour: signed by it.

The neighbour can neither forge an offer, nor hand it to another member, nor answer one with the
answer to another. Bytes: docs/wire.md, "Rendezvous through a neighbour".
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgpack
from attrs import frozen

from p2pacs.errors import MalformedMessageError, P2PacsError, UsageError
from p2pacs.identity.directory import MemberRecord
from p2pacs.identity.member_signature import (
    KEY_MOST,
    SIGNATURE_MOST,
    MemberKey,
    MemberSignature,
)
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import CANDIDATES, OFFER_BYTES
from p2pacs.punch.nat import Nat

PURPOSE: Final = b"p2pacs meeting"

_TEXT: Final = 64
"""Characters of an endpoint: an IPv6 address in brackets and a port have 47."""

HASH: Final = 32
TOKEN_BYTES: Final = 16


@frozen
class MeetingOffer:
    """Where its sender may be found now."""

    sender: VirtualAddress
    receiver: VirtualAddress
    study: StudyId
    """In whose swarm both take part."""
    time: int
    """The sender's: milliseconds since 1970. Grows from one offer to the next."""
    nat: Nat
    """What the sender knows of its router."""
    endpoints: tuple[str, ...]
    answers: bytes = b""
    """SHA-256 of the offer that this one answers; empty: it answers none."""

    def signed(self, key: MemberKey) -> bytes:
        """The offer as it travels."""
        body = msgpack.packb(
            [
                bytes(self.sender),
                bytes(self.receiver),
                bytes(self.study),
                self.time,
                int(self.nat),
                list(self.endpoints),
                self.answers,
            ]
        )
        made = key.sign(body, PURPOSE)
        raw: bytes = msgpack.packb([body, made.public, made.signature])
        return raw


def digest(raw: bytes) -> bytes:
    """What an answer says it answers."""
    return hashlib.sha256(raw).digest()


def token(offer: bytes, answer: bytes) -> bytes:
    """The first bytes of every connection of one meeting, in both directions.

    They tell for whom a connection is, before it is known which side speaks TLS as the client. They
    are no secret (the neighbour could make them): who is there, TLS tells.
    """
    return hashlib.sha256(PURPOSE + digest(offer) + digest(answer)).digest()[:TOKEN_BYTES]


def read_offer(raw: bytes, sender: MemberRecord, receiver: VirtualAddress) -> MeetingOffer:
    """The offer in these bytes.

    Args:
        raw: As they came.
        sender: Who must have signed it.
        receiver: For whom it must be.

    Raises:
        MalformedMessageError: no offer.
        AccessError: not signed by this member.
    """
    body, signature = _unpack(raw)
    signature.verify(sender.key_hash, body, PURPOSE)
    offer = _parse(body)
    if offer.sender != sender.address or offer.receiver != receiver:
        raise MalformedMessageError("an offer between other members")
    return offer


def _unpack(raw: bytes) -> tuple[bytes, MemberSignature]:
    fields = _list_of(raw, OFFER_BYTES, 3)
    body, public, signature = fields
    if not (
        isinstance(body, bytes)
        and isinstance(public, bytes)
        and isinstance(signature, bytes)
        and len(public) <= KEY_MOST
        and len(signature) <= SIGNATURE_MOST
    ):
        raise MalformedMessageError("not an offer")
    return body, MemberSignature(public, signature)


def _list_of(raw: bytes, most: int, items: int) -> list[object]:
    if len(raw) > most:
        raise MalformedMessageError("an offer that is too long")
    try:
        fields = msgpack.unpackb(
            raw, max_array_len=max(items, CANDIDATES), max_map_len=0, max_ext_len=0
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedMessageError("not an offer: not msgpack") from error
    if not isinstance(fields, list) or len(fields) != items:
        raise MalformedMessageError("not an offer: fields are missing, or there are more")
    return fields


def _parse(body: bytes) -> MeetingOffer:
    sender, receiver, study, time, nat, endpoints, answers = _list_of(body, OFFER_BYTES, 7)
    texts = endpoints if isinstance(endpoints, list) else [None]
    if not (
        isinstance(sender, bytes)
        and isinstance(receiver, bytes)
        and isinstance(study, bytes)
        and isinstance(answers, bytes)
        and type(time) is int
        and 0 <= time < 1 << 62
        and type(nat) is int
        and len(texts) <= CANDIDATES
        and all(isinstance(one, str) and len(one) <= _TEXT for one in texts)
        and len(answers) in (0, HASH)
    ):
        raise MalformedMessageError("not an offer: a field of another kind")
    try:
        return MeetingOffer(
            VirtualAddress(sender),
            VirtualAddress(receiver),
            StudyId(study),
            time,
            Nat(nat) if nat in tuple(Nat) else Nat.UNKNOWN,
            tuple(str(one) for one in texts),
            answers,
        )
    except (UsageError, P2PacsError) as error:
        raise MalformedMessageError("not an offer: an address or a study") from error
