"""The member directory: who is who, where, and who no longer is; signed by the broker.

Bytes: an Ed25519 signature (64), then a msgpack body (docs/security.md).
Loading is verifying: a `Directory` from elsewhere exists only through `load_directory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Final

import msgpack
from attrs import define, field, frozen

from p2pacs import limits
from p2pacs.errors import (
    AuthenticationError,
    BadSignatureError,
    DirectoryError,
    RevokedError,
    UsageError,
)
from p2pacs.identity.keys import KEY_BYTES, SIGNATURE_BYTES, SigningKey, Verifier
from p2pacs.ids import VirtualAddress

PURPOSE: Final = b"p2pacs member directory"
FORMAT: Final = 2
OLDER_FORMAT: Final = 1
"""Of version 0.1: without the brokers' keys. Members of then have such directories on disk."""

HASH_BYTES: Final = 32

_ENDPOINT_CHARACTERS: Final = 300  # a host name has at most 253, an address in brackets 41


class Role(StrEnum):
    """What a member is for."""

    BROKER = "broker"
    REPLICA = "replica"
    HOSPITAL = "hospital"


@frozen
class Remote:
    """Who is at the other end of a channel, as TLS has verified it."""

    address: VirtualAddress
    key_hash: bytes
    """SHA-256 of the SubjectPublicKeyInfo of its certificate."""


@frozen
class MemberRecord:
    """One member."""

    address: VirtualAddress
    name: str
    role: Role
    endpoints: tuple[str, ...]
    """HOST:PORT at which it may be reached; none behind NAT."""
    key_hash: bytes
    """SHA-256 of the SubjectPublicKeyInfo of its certificate."""
    box_key: bytes = field(repr=False)
    """Raw X25519 public key."""
    revoked: bool = False


@frozen
class BrokerKey:
    """What a broker signs manifests and directories with; a member's record tells where it is."""

    address: VirtualAddress
    signing_key: bytes
    """Raw Ed25519 public key."""


@define(frozen=True, slots=False)
class Directory:
    """All members at one version. The epoch grows with every revocation."""

    version: int
    epoch: int
    members: tuple[MemberRecord, ...]
    broker_keys: tuple[BrokerKey, ...] = ()
    """Of the brokers among the members."""

    @cached_property
    def brokers(self) -> frozenset[VirtualAddress]:
        """The brokers of this network."""
        brokers = (one for one in self.members if one.role is Role.BROKER and not one.revoked)
        return frozenset(one.address for one in brokers)

    @cached_property
    def _by_address(self) -> Mapping[VirtualAddress, MemberRecord]:
        return {member.address: member for member in self.members}

    def get(self, address: VirtualAddress) -> MemberRecord | None:
        """The member with this address, revoked ones too."""
        return self._by_address.get(address)

    def check(self, remote: Remote) -> MemberRecord:
        """The member at the other end of a channel.

        Raises:
            RevokedError: it is no longer a member.
            AuthenticationError: it never was, or the address is another key's.
        """
        member = self.get(remote.address)
        if member is None:
            raise AuthenticationError(f"{remote.address} is not in the member directory")
        if member.revoked:
            raise RevokedError(f"{member.name} ({member.address}) was revoked")
        if member.key_hash != remote.key_hash:
            raise AuthenticationError(
                f"{member.name} ({member.address}) came with a key that is not in the directory"
            )
        return member


def sign_directory(directory: Directory, key: SigningKey) -> bytes:
    """The directory as it travels.

    Raises:
        UsageError: more members, or longer names, than a directory may have.
    """
    body = msgpack.packb(
        [
            FORMAT,
            directory.version,
            directory.epoch,
            [
                [
                    bytes(member.address),
                    member.name,
                    member.role.value,
                    list(member.endpoints),
                    member.key_hash,
                    member.box_key,
                    member.revoked,
                ]
                for member in directory.members
            ],
            [[bytes(one.address), one.signing_key] for one in directory.broker_keys],
        ]
    )
    try:
        _parse(body)
    except DirectoryError as error:
        raise UsageError(f"this directory cannot be published: {error}") from error
    return key.sign(body, PURPOSE) + bytes(body)


def load_directory(raw: bytes, key: Verifier) -> Directory:
    """The directory in these bytes.

    Raises:
        DirectoryError: not signed by the broker, or not a directory.
    """
    if len(raw) > limits.DIRECTORY_BYTES:
        raise DirectoryError(f"a directory has at most {limits.DIRECTORY_BYTES} bytes")
    signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    try:
        key.verify(signature, body, PURPOSE)
    except BadSignatureError as error:
        raise DirectoryError(
            "the member directory is not signed by the broker of this network"
        ) from error
    return _parse(body)


def _malformed(what: str) -> DirectoryError:
    return DirectoryError(f"the member directory is malformed: {what}")


def _natural(value: object, what: str) -> int:
    if type(value) is not int or value < 0:
        raise _malformed(what)
    return value


def _text(value: object, most: int, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise _malformed(what)
    return value


def _raw(value: object, size: int, what: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise _malformed(what)
    return value


def _items(value: object, most: int, what: str) -> list[object]:
    if not isinstance(value, list) or len(value) > most:
        raise _malformed(what)
    return value


def _parse(body: bytes) -> Directory:
    if len(body) + SIGNATURE_BYTES > limits.DIRECTORY_BYTES:
        raise _malformed("too long")
    try:
        fields = msgpack.unpackb(body, max_array_len=limits.MEMBERS, max_map_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException) as error:
        raise DirectoryError("the member directory is malformed: not msgpack") from error
    if not isinstance(fields, list) or not fields or fields[0] not in (OLDER_FORMAT, FORMAT):
        raise _malformed(f"not an array in format {FORMAT}; update this program")
    if len(fields) != (4 if fields[0] == OLDER_FORMAT else 5):
        raise _malformed("fields are missing, or there are more")
    members = tuple(_member(item) for item in _items(fields[3], limits.MEMBERS, "members"))
    if len({member.address for member in members}) != len(members):
        raise _malformed("an address twice")
    keys = [] if fields[0] == OLDER_FORMAT else _items(fields[4], limits.BROKERS, "brokers")
    directory = Directory(
        _natural(fields[1], "version"),
        _natural(fields[2], "epoch"),
        members,
        tuple(map(_broker_key, keys)),
    )
    if not {one.address for one in directory.broker_keys} <= directory.brokers:
        raise _malformed("a key of a broker that is none")
    return directory


def _broker_key(value: object) -> BrokerKey:
    fields = _items(value, 2, "a broker's key")
    if len(fields) != 2:
        raise _malformed("a broker's key has two fields")
    try:
        address = VirtualAddress(_raw(fields[0], 16, "address"))
    except UsageError as error:
        raise DirectoryError("the member directory is malformed: a broker's address") from error
    return BrokerKey(address, _raw(fields[1], KEY_BYTES, "signing key"))


def _member(value: object) -> MemberRecord:
    fields = _items(value, 7, "a member")
    if len(fields) != 7:
        raise _malformed("a member has seven fields")
    address, name, role, endpoints, key_hash, box_key, revoked = fields
    if not isinstance(revoked, bool):
        raise _malformed("revoked")
    try:
        return MemberRecord(
            address=VirtualAddress(_raw(address, 16, "address")),
            name=_text(name, limits.NAME, "name"),
            role=Role(_text(role, 16, "role")),
            endpoints=tuple(
                _text(endpoint, _ENDPOINT_CHARACTERS, "endpoint")
                for endpoint in _items(endpoints, limits.ENDPOINTS, "endpoints")
            ),
            key_hash=_raw(key_hash, HASH_BYTES, "key hash"),
            box_key=_raw(box_key, KEY_BYTES, "box key"),
            revoked=revoked,
        )
    except (ValueError, UsageError) as error:
        raise DirectoryError("the member directory is malformed: an address or a role") from error
