"""Keys as types: they print as ``<redacted>`` and each does one thing only.

Signatures are Ed25519 (RFC 8032) over ``len(purpose) ‖ purpose ‖ data``, so that
a signature for one purpose never passes for another. Study keys travel wrapped
with HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM). docs/security.md has the bytes.
"""

from __future__ import annotations

import hmac
import secrets
from typing import ClassVar, Final, Protocol, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from p2pacs.errors import AccessError, BadSignatureError, UsageError

SIGNATURE_BYTES: Final = 64
KEY_BYTES: Final = 32

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Secret:
    """Bytes that must not be printed, logged or compared in variable time."""

    __slots__ = ("_raw",)
    size: ClassVar[int | None] = None
    """Bytes that this kind has; None for any number."""

    def __init__(self, raw: bytes) -> None:
        if self.size is not None and len(raw) != self.size:
            raise UsageError(f"a {type(self).__name__} has {self.size} bytes, not {len(raw)}")
        self._raw = bytes(raw)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._raw

    def __repr__(self) -> str:
        return "<redacted>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._raw, other._raw)

    def __hash__(self) -> int:
        return hash(self._raw)


class StudyKey(Secret):
    """The 256-bit key that seals the chunks of one study."""

    __slots__ = ()
    size = KEY_BYTES

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(secrets.token_bytes(KEY_BYTES))


def bound(data: bytes, purpose: bytes) -> bytes:
    """What is signed: the purpose, its length first, then the data."""
    if not 0 < len(purpose) < 256:
        raise ValueError("a purpose has 1 to 255 bytes")
    return bytes([len(purpose)]) + purpose + data


class VerifyKey:
    """The public half of a `SigningKey`: 32 bytes (RFC 8032)."""

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise UsageError(f"a VerifyKey has {KEY_BYTES} bytes, not {len(raw)}")
        self.raw = bytes(raw)
        self._key = Ed25519PublicKey.from_public_bytes(self.raw)

    def verify(self, signature: bytes, data: bytes, purpose: bytes) -> None:
        """Return if ``signature`` was made for ``data`` and ``purpose`` with this key.

        Raises:
            BadSignatureError: it was not.
        """
        try:
            self._key.verify(signature, bound(data, purpose))
        except InvalidSignature as error:
            raise BadSignatureError(
                f"the signature of this {purpose.decode(errors='replace')} is not by the broker "
                "of this network"
            ) from error

    def __bytes__(self) -> bytes:
        return self.raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifyKey) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"VerifyKey({self.raw.hex()})"


class Verifier(Protocol):
    """Who tells whether a broker signed something: one key, or those of all brokers."""

    def verify(self, signature: bytes, data: bytes, purpose: bytes) -> None:
        """Return if it did.

        Raises:
            BadSignatureError: it did not.
        """


class BrokerKeys:
    """The keys of all brokers of a network: what one of them signed is good.

    The set changes with the member directory, for whoever holds this object.
    """

    def __init__(self, *keys: VerifyKey) -> None:
        self.keys = tuple(dict.fromkeys(keys))

    def verify(self, signature: bytes, data: bytes, purpose: bytes) -> None:
        """Return if one of the brokers made ``signature``.

        Raises:
            BadSignatureError: none did.
        """
        for key in self.keys[1:]:
            try:
                key.verify(signature, data, purpose)
            except BadSignatureError:
                continue
            return
        self.keys[0].verify(signature, data, purpose)


class SigningKey:
    """An Ed25519 key: the broker signs manifests and the member directory with it."""

    __slots__ = ("_key", "public", "secret")

    def __init__(self, secret: Secret) -> None:
        if len(secret.reveal()) != KEY_BYTES:
            raise UsageError(f"a SigningKey has {KEY_BYTES} bytes, not {len(secret.reveal())}")
        self.secret = secret
        self._key = Ed25519PrivateKey.from_private_bytes(secret.reveal())
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(Secret(secrets.token_bytes(KEY_BYTES)))

    @classmethod
    def from_raw(cls, secret: Secret) -> Self:
        """The key whose ``secret`` was kept."""
        return cls(secret)

    def sign(self, data: bytes, purpose: bytes) -> bytes:
        """A signature (64 bytes) that verifies for this purpose only."""
        return self._key.sign(bound(data, purpose))

    def __repr__(self) -> str:
        return f"<SigningKey of {self.public!r}>"


class BoxKey:
    """An X25519 key to which study keys are wrapped."""

    __slots__ = ("_key", "public", "secret")

    def __init__(self, secret: Secret) -> None:
        if len(secret.reveal()) != KEY_BYTES:
            raise UsageError(f"a BoxKey has {KEY_BYTES} bytes, not {len(secret.reveal())}")
        self.secret = secret
        self._key = X25519PrivateKey.from_private_bytes(secret.reveal())
        self.public: bytes = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(Secret(secrets.token_bytes(KEY_BYTES)))

    @classmethod
    def from_raw(cls, secret: Secret) -> Self:
        """The key whose ``secret`` was kept."""
        return cls(secret)

    def open(self, wrapped: bytes, info: bytes) -> Secret:
        """What `wrap` wrapped to the public half of this key under the same ``info``.

        Raises:
            AccessError: wrapped to another key, under another ``info``, or damaged.
        """
        try:
            return Secret(_SUITE.decrypt(wrapped, self._key, info))
        except InvalidTag as error:
            raise AccessError(
                "this grant was not made for this member's key; ask the broker for a new one"
            ) from error

    def __repr__(self) -> str:
        return f"<BoxKey of {self.public.hex()}>"


def wrap(public: bytes, secret: Secret, info: bytes) -> bytes:
    """Encrypt ``secret`` to the owner of ``public`` (HPKE base mode, single shot).

    Args:
        public: raw X25519 public key, 32 bytes.
        secret: what only the owner shall read.
        info: what the wrapped bytes are for; `BoxKey.open` needs the same.

    Returns:
        Encapsulated key (32 bytes), then ciphertext and tag: 48 bytes more than the secret.

    Raises:
        UsageError: ``public`` is not an X25519 public key.
    """
    try:
        key = X25519PublicKey.from_public_bytes(public)
        return _SUITE.encrypt(secret.reveal(), key, info)
    except ValueError as error:
        raise UsageError("not a usable X25519 public key: 32 bytes, not of small order") from error
