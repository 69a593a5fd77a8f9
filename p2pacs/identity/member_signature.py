"""What a member says to another through third parties, signed with the key of its certificate.

The directory names only the hash of a member's key, so a signature travels with the public key
(SubjectPublicKeyInfo), and is good if that hash is the one in the directory.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Self

from attrs import field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from p2pacs.errors import AuthenticationError
from p2pacs.identity import certificates, files
from p2pacs.identity.keys import Secret, bound
from p2pacs.identity.node import KEY

KEY_MOST: Final = 128
"""Bytes of a SubjectPublicKeyInfo: of P-256 it has 91."""

SIGNATURE_MOST: Final = 80
"""Bytes of an ECDSA signature on P-256 (DER): at most 72."""

_ALGORITHM: Final = ec.ECDSA(SHA256())


@frozen
class MemberSignature:
    """A signature, and the key that made it."""

    public: bytes
    """SubjectPublicKeyInfo, DER."""
    signature: bytes
    """ECDSA with SHA-256 (FIPS 186-5), DER."""

    def verify(self, key_hash: bytes, data: bytes, purpose: bytes) -> None:
        """Return if the member whose key has this hash made it for this data and purpose.

        Args:
            key_hash: As in the member directory.
            data: What was signed.
            purpose: What for.

        Raises:
            AuthenticationError: another key, or another text.
        """
        if hashlib.sha256(self.public).digest() != key_hash:
            raise AuthenticationError("signed with a key that is not this member's")
        try:
            public = load_der_public_key(self.public)
            if not isinstance(public, ec.EllipticCurvePublicKey):
                raise AuthenticationError("not signed with a member's key")
            public.verify(self.signature, bound(data, purpose), _ALGORITHM)
        except (InvalidSignature, ValueError) as error:
            raise AuthenticationError("the signature is not this member's") from error


@frozen
class MemberKey:
    """What a member signs with: the key of its certificate."""

    _key: ec.EllipticCurvePrivateKey = field(repr=False)
    public: bytes

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The key in a member's identity folder.

        Raises:
            StateError: there is none, or it is damaged.
        """
        what = "this member's key"
        key = certificates.load_key(Secret(files.read_file(folder / KEY, what)), what)
        spki = PublicFormat.SubjectPublicKeyInfo
        return cls(key, key.public_key().public_bytes(Encoding.DER, spki))

    def sign(self, data: bytes, purpose: bytes) -> MemberSignature:
        """A signature that is good for this purpose only."""
        return MemberSignature(self.public, self._key.sign(bound(data, purpose), _ALGORITHM))
