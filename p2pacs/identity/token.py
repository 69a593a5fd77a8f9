"""The one-time token that the administrator hands to a hospital.

It says where the broker is, pins the network's authority, and holds a secret that
is good for one enrolment. Text: ``p2pacs1-``, then base32 in lower case of the
bytes that docs/security.md lists, the first four of their SHA-256 at the end, so
that a slip of the pen is found here and not by the broker.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final, Self

from attrs import frozen

from p2pacs import limits
from p2pacs.errors import UsageError
from p2pacs.identity.keys import Secret
from p2pacs.ids import VirtualAddress

PREFIX: Final = "p2pacs1-"
SECRET_BYTES: Final = 16
"""128 bits: not to be guessed, and short enough to paste."""

_ADDRESS, _HASH, _CHECK = 16, 32, 4
_CHARACTERS: Final = 8192


@frozen
class Token:
    """What a new member is told out of band."""

    broker: VirtualAddress
    endpoints: tuple[str, ...]
    """HOST:PORT at which the broker may be reached, best first."""
    authority_sha256: bytes
    """SHA-256 of the authority's certificate (DER)."""
    secret: Secret
    """16 bytes, good for one enrolment."""

    @staticmethod
    def new_secret() -> Secret:
        """A new random secret for a token."""
        return Secret(secrets.token_bytes(SECRET_BYTES))

    def encode(self) -> str:
        """The token as text.

        Raises:
            UsageError: no endpoint, or one too long, or a part of the wrong length.
        """
        if not 0 < len(self.endpoints) <= limits.ENDPOINTS:
            raise UsageError(f"a token names 1 to {limits.ENDPOINTS} endpoints of the broker")
        if len(self.secret.reveal()) != SECRET_BYTES or len(self.authority_sha256) != _HASH:
            raise UsageError(f"a token's secret has {SECRET_BYTES} bytes, its pin {_HASH}")
        texts = [endpoint.encode() for endpoint in self.endpoints]
        if any(not 0 < len(text) < 256 for text in texts):
            raise UsageError("an endpoint in a token has 1 to 255 bytes")
        body = b"".join(
            [
                bytes(self.broker),
                self.authority_sha256,
                self.secret.reveal(),
                bytes([len(texts)]),
                *(bytes([len(text)]) + text for text in texts),
            ]
        )
        whole = body + hashlib.sha256(body).digest()[:_CHECK]
        return PREFIX + base64.b32encode(whole).decode().rstrip("=").lower()

    @classmethod
    def decode(cls, text: str) -> Self:
        """The token in this text; spaces and line ends around and inside do not matter.

        Raises:
            UsageError: not a token, or not copied whole.
        """
        joined = "".join(text[:_CHARACTERS].split()).lower()
        if not joined.startswith(PREFIX):
            raise UsageError(f"not a token: it begins with {PREFIX}; copy it whole from the form")
        digits = joined.removeprefix(PREFIX).upper()
        try:
            whole = base64.b32decode(digits + "=" * (-len(digits) % 8))
            return cls._parse(whole)
        except (ValueError, IndexError) as error:
            raise UsageError("the token is damaged; copy it whole from the form") from error

    @classmethod
    def _parse(cls, whole: bytes) -> Self:
        body, check = whole[:-_CHECK], whole[-_CHECK:]
        if hashlib.sha256(body).digest()[:_CHECK] != check:
            raise ValueError("checksum")
        secret = _ADDRESS + _HASH
        count = secret + SECRET_BYTES
        rest, endpoints = body[count + 1 :], []
        for _ in range(body[count]):
            length = rest[0]
            endpoints.append(rest[1 : 1 + length].decode())
            rest = rest[1 + length :]
        if rest or not endpoints or len(endpoints) > limits.ENDPOINTS or "" in endpoints:
            raise ValueError("endpoints")
        return cls(
            broker=VirtualAddress(body[:_ADDRESS]),
            endpoints=tuple(endpoints),
            authority_sha256=body[_ADDRESS:secret],
            secret=Secret(body[secret:count]),
        )
