"""A member's own identity: a folder of keys that never leave it, and what the broker gave."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from attrs import evolve, frozen

from p2pacs.errors import AuthenticationError, StateError, UsageError
from p2pacs.files.private_files import make_private_folder, write_private
from p2pacs.identity import certificates, files
from p2pacs.identity.keys import BoxKey, Secret, VerifyKey
from p2pacs.ids import VirtualAddress

KEY: Final = "key.pem"
CERTIFICATE: Final = "cert.pem"
AUTHORITY: Final = "authority.pem"
BOX_KEY: Final = "box.key"
_NODE: Final = "node.json"

_KEY_WHAT: Final = "this member's key"


def make_request(folder: Path) -> bytes:
    """Make the member's keys in the folder (or use those there); a certificate request (DER).

    Raises:
        StateError: the keys there are damaged.
    """
    make_private_folder(folder)
    if not (folder / KEY).exists():
        write_private(folder / KEY, certificates.generate_key().reveal())
    if not (folder / BOX_KEY).exists():
        files.write_secret(folder / BOX_KEY, BoxKey.generate().secret)
    key = files.read_file(folder / KEY, _KEY_WHAT)
    return certificates.request(certificates.load_key(Secret(key), _KEY_WHAT))


def read_box_key(folder: Path) -> BoxKey:
    """The box key that `make_request` made.

    Raises:
        StateError: there is none, or it is damaged.
    """
    try:
        return BoxKey(files.read_secret(folder / BOX_KEY, "this member's box key"))
    except UsageError as error:
        raise StateError(f"{folder / BOX_KEY} is damaged; join again in a new folder") from error


@frozen
class NodeIdentity:
    """Who this member is."""

    address: VirtualAddress
    name: str
    folder: Path
    box_key: BoxKey
    broker: VirtualAddress
    """The broker's virtual address."""
    broker_key: VerifyKey
    """Verifies manifests and the member directory."""
    key_hash: bytes
    """SHA-256 of the SubjectPublicKeyInfo of this member's key."""
    authority: bytes
    """The authority's certificate (DER)."""
    expires: datetime
    """When this member's certificate ends (UTC)."""

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        name: str,
        certificate: bytes,
        authority: bytes,
        broker: VirtualAddress,
        broker_key: VerifyKey,
    ) -> Self:
        """Complete the folder in which `make_request` made the keys.

        Args:
            folder: the member's identity folder.
            name: the member's name, as the administrator gave it.
            certificate: for the key in the folder (DER).
            authority: the authority's certificate (DER).
            broker: the broker's virtual address.
            broker_key: the broker's signing key.

        Raises:
            StateError: the folder already holds an identity.
            AuthenticationError: the certificate is not for this key, or not by this authority.
        """
        if (folder / _NODE).exists():
            raise StateError(f"{folder} already belongs to a member; choose another folder")
        certificates.check_issued(certificate, authority, _own_key_hash(folder))
        write_private(folder / CERTIFICATE, certificates.to_pem(certificate))
        write_private(folder / AUTHORITY, certificates.to_pem(authority))
        node = {"name": name, "broker": str(broker), "broker_key": broker_key.raw.hex()}
        write_private(folder / _NODE, json.dumps(node).encode())  # last: it marks it whole
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The identity in this folder.

        Raises:
            StateError: none, or damaged.
        """
        text = files.read_file(folder / _NODE, "the identity of this member (has it joined?)")
        stored = files.read_file(folder / CERTIFICATE, "this member's certificate")
        certificate = certificates.from_pem(stored, "this member's certificate")
        stored = files.read_file(folder / AUTHORITY, "the authority's certificate")
        authority = certificates.from_pem(stored, "the authority's certificate")
        key_hash = _own_key_hash(folder)
        try:
            node = json.loads(text)
            return cls(
                address=certificates.check_issued(certificate, authority, key_hash),
                name=str(node["name"]),
                folder=folder,
                box_key=read_box_key(folder),
                broker=VirtualAddress.parse(node["broker"]),
                broker_key=VerifyKey(bytes.fromhex(node["broker_key"])),
                key_hash=key_hash,
                authority=authority,
                expires=certificates.load_certificate(certificate).not_valid_after_utc,
            )
        except (ValueError, KeyError, TypeError, UsageError, AuthenticationError) as error:
            raise StateError(f"the identity in {folder} is damaged: {error}") from error

    def renewed(self, certificate: bytes) -> Self:
        """Replace this member's certificate (DER); TLS contexts made from now on use it.

        Raises:
            AuthenticationError: for another key or address, or not by this authority.
        """
        address = certificates.check_issued(certificate, self.authority, self.key_hash)
        if address != self.address:
            raise AuthenticationError(f"the new certificate is for {address}, not {self.address}")
        write_private(self.folder / CERTIFICATE, certificates.to_pem(certificate))
        expires = certificates.load_certificate(certificate).not_valid_after_utc
        return evolve(self, expires=expires)


def _own_key_hash(folder: Path) -> bytes:
    key = Secret(files.read_file(folder / KEY, _KEY_WHAT))
    return certificates.spki_hash(certificates.load_key(key, _KEY_WHAT).public_key())
