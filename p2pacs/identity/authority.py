"""The network's certificate authority: who is a member, and at which virtual address."""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from p2pacs.errors import StateError
from p2pacs.files.private_files import make_private_folder, write_private
from p2pacs.identity import certificates, files
from p2pacs.identity.keys import Secret
from p2pacs.ids import VirtualAddress

MEMBER_LIFETIME: Final = timedelta(days=30)
"""Short: a lost key is of no use for long, even where no new directory arrives."""

AUTHORITY_LIFETIME: Final = timedelta(days=20 * 365)

_KEY, _CERTIFICATE, _NETWORK = "authority.key", "authority.pem", "network.json"


class Authority:
    """The certificate authority in a folder of the broker.

    Attributes:
        certificate: its own certificate (DER).
        name: the network's name.
        prefix: the network's /48 out of fd00::/8 (RFC 4193), 6 bytes.
    """

    def __init__(self, key: Secret, certificate: bytes, name: str, prefix: bytes) -> None:
        self._key = certificates.load_key(key, "the authority's key")
        self.certificate = certificate
        self.name = name
        self.prefix = prefix

    @classmethod
    def create(cls, folder: Path, name: str) -> Self:
        """Found a network.

        Raises:
            StateError: the folder already holds an authority.
        """
        if (folder / _NETWORK).exists():
            raise StateError(f"{folder} already holds an authority; choose another folder")
        make_private_folder(folder)
        key = certificates.generate_key()
        loaded = certificates.load_key(key, "the authority's key")
        certificate = certificates.self_signed(loaded, name, AUTHORITY_LIFETIME)
        prefix = b"\xfd" + secrets.token_bytes(5)
        write_private(folder / _KEY, key.reveal())
        write_private(folder / _CERTIFICATE, certificates.to_pem(certificate))
        network = {"name": name, "prefix": prefix.hex()}
        write_private(folder / _NETWORK, json.dumps(network).encode())  # last: it marks it whole
        return cls(key, certificate, name, prefix)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The authority in this folder.

        Raises:
            StateError: none, or damaged.
        """
        text = files.read_file(folder / _NETWORK, "the network's description")
        key = Secret(files.read_file(folder / _KEY, "the authority's key"))
        stored = files.read_file(folder / _CERTIFICATE, "the authority's certificate")
        certificate = certificates.from_pem(stored, "the authority's certificate")
        try:
            network = json.loads(text)
            return cls(key, certificate, str(network["name"]), bytes.fromhex(network["prefix"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(f"{folder / _NETWORK} is damaged; restore it") from error

    @property
    def network(self) -> ipaddress.IPv6Network:
        """The network's prefix, as people write it."""
        return ipaddress.IPv6Network((self.prefix + bytes(10), 48))

    def new_address(self) -> VirtualAddress:
        """A random address of this network: 64 bits, so no two are ever the same."""
        return VirtualAddress(self.prefix + bytes(2) + secrets.token_bytes(8))

    def issue(
        self,
        csr: bytes,
        address: VirtualAddress,
        name: str,
        *,
        lifetime: timedelta = MEMBER_LIFETIME,
    ) -> bytes:
        """A member's certificate (DER) for the key of the request; the request's names are ignored.

        Raises:
            MalformedMessageError: the request is broken or not signed with its own key.
        """
        signer, authority = self._key, self.certificate
        return certificates.member_certificate(
            signer, authority, csr, address=address, name=name, lifetime=lifetime
        )

    def issue_web(self, csr: bytes, hosts: Sequence[str], *, lifetime: timedelta) -> bytes:
        """A certificate (DER) for a web page at these host names or addresses.

        Raises:
            MalformedMessageError: as `issue`.
            UsageError: no host, or one that is a member's address.
        """
        signer, authority = self._key, self.certificate
        return certificates.web_certificate(signer, authority, csr, hosts=hosts, lifetime=lifetime)
