"""The identifiers of the network as types, so that no two can be mixed up.

All are immutable, hashable and ordered by their bytes. ``bytes(x)`` is the
form on the wire and on disk, ``str(x)`` the form in logs and file names.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from typing import ClassVar, Self

from p2pacs.errors import UsageError
from p2pacs.phrases import Phrase


class _Bytes(bytes):
    """A fixed number of bytes with an identity of its own.

    Bytes by inheritance: every message looks up some members and studies, and a hash in Python
    costs more than the rest of a look-up.
    """

    __slots__ = ()
    size: ClassVar[int]

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != cls.size:
            raise UsageError(
                Phrase(
                    "a %(kind)s has %(size)s bytes, not %(given)s",
                    kind=cls.__name__,
                    size=cls.size,
                    given=len(raw),
                )
            )
        return super().__new__(cls, raw)

    @property
    def raw(self) -> bytes:
        """The bytes alone."""
        return bytes(self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bytes.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return type(other) is not type(self) or bytes.__ne__(self, other)

    __hash__ = bytes.__hash__

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that `str` gave.

        Raises:
            UsageError: not hexadecimal, or not of this length.
        """
        try:
            return cls(bytes.fromhex(text))
        except ValueError as error:
            raise UsageError(
                Phrase("not a %(kind)s: %(typed)s", kind=cls.__name__, typed=repr(text))
            ) from error


class ChunkId(_Bytes):
    """SHA-256 of a chunk's ciphertext (FIPS 180-4)."""

    __slots__ = ()
    size = 32

    @classmethod
    def of(cls, ciphertext: bytes | bytearray | memoryview) -> ChunkId:
        """The id of these bytes."""
        return cls(hashlib.sha256(ciphertext).digest())


class StudyId(_Bytes):
    """HMAC-SHA-256 of the Study Instance UID under a broker secret, first 16 bytes.

    The UID itself is patient data; the id may stand in logs and file names.
    """

    __slots__ = ()
    size = 16

    @classmethod
    def derive(cls, secret: bytes, study_instance_uid: str) -> StudyId:
        """The id of a study in the network that owns ``secret``."""
        return cls(hmac.digest(secret, study_instance_uid.encode("ascii"), "sha256")[:16])

    @property
    def short(self) -> str:
        """Eight hexadecimal digits, for logs and progress bars."""
        return self.hex()[:8]


class VirtualAddress(_Bytes):
    """A member's fixed and unique address: IPv6 out of the network's fd00::/8 prefix (RFC 4193)."""

    __slots__ = ()
    size = 16

    def __new__(cls, raw: bytes) -> Self:
        """The address that these bytes are.

        Raises:
            UsageError: not 16 bytes, or not in fd00::/8.
        """
        if raw[:1] != b"\xfd":
            raise UsageError(Phrase("a virtual address lies in fd00::/8"))
        return super().__new__(cls, raw)

    def __str__(self) -> str:
        return str(ipaddress.IPv6Address(self.raw))

    @classmethod
    def parse(cls, text: str) -> VirtualAddress:
        """The address that `str` gave.

        Raises:
            UsageError: not an IPv6 address in fd00::/8.
        """
        try:
            return cls(ipaddress.IPv6Address(text).packed)
        except ValueError as error:
            raise UsageError(
                Phrase("not a virtual address: %(typed)s", typed=repr(text))
            ) from error
