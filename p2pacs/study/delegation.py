"""Delegations: a broker lets a member sign manifests of one study, for a while.

A delegation is as long as it is, and signed by a broker: it names the study, the member, the key
that the member signs with, the version above which it may sign, and from when until when.
docs/formats.md has it byte by byte; docs/security.md says what is refused and why.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import frozen

from p2pacs.errors import BadSignatureError, ManifestError, UsageError
from p2pacs.identity.keys import KEY_BYTES, SIGNATURE_BYTES, SigningKey, Verifier, VerifyKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import DELEGATION_BYTES

PURPOSE: Final = b"p2pacs delegation"
FORMAT: Final = 1

_BODY: Final = struct.Struct(f">B{StudyId.size}s{VirtualAddress.size}s{KEY_BYTES}sIQQ")


@frozen
class Delegation:
    """What a broker lets a member sign, verified by `load_delegation` or about to be signed."""

    study: StudyId
    member: VirtualAddress
    key: VerifyKey
    """What the member signs with; the private half never leaves it."""
    above: int
    """The member signs versions above this one: the last that was out when the broker signed."""
    begins: int
    """Milliseconds since 1970, by the broker's clock."""
    ends: int
    """Likewise; what is signed at this moment is still good."""


def sign_delegation(delegation: Delegation, key: SigningKey) -> bytes:
    """The delegation as it travels: the broker's signature, then the body."""
    body = _BODY.pack(
        FORMAT,
        bytes(delegation.study),
        bytes(delegation.member),
        bytes(delegation.key),
        delegation.above,
        delegation.begins,
        delegation.ends,
    )
    return key.sign(body, PURPOSE) + body


def load_delegation(raw: bytes, key: Verifier, study: StudyId) -> Delegation:
    """The delegation in these bytes, verified.

    Args:
        raw: as `sign_delegation` gave it.
        key: of the brokers of this network.
        study: the study that it must be of.

    Raises:
        BadSignatureError: no broker signed it.
        ManifestError: of a wrong length or format, of another study, or contradicting itself.
    """
    if len(raw) != DELEGATION_BYTES:
        raise ManifestError(f"a delegation has {DELEGATION_BYTES} bytes, not {len(raw)}")
    body = raw[SIGNATURE_BYTES:]
    try:
        key.verify(raw[:SIGNATURE_BYTES], body, PURPOSE)
    except BadSignatureError as error:
        raise BadSignatureError("no broker of this network signed this delegation") from error
    number, named, member, public, above, begins, ends = _BODY.unpack(body)
    if number != FORMAT:
        raise ManifestError("a delegation of a format that this version does not know")
    if named != bytes(study):
        raise ManifestError(f"a delegation of study {named.hex()[:8]} came for {study.short}")
    if begins > ends:
        raise ManifestError("a delegation ends before it begins")
    try:
        delegate = VerifyKey(public)
        address = VirtualAddress(member)
    except (UsageError, ValueError) as error:
        raise ManifestError("a delegation names no member or no key") from error
    return Delegation(study, address, delegate, above, begins, ends)
