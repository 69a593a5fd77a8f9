"""TLS for DICOM, with certificates of the site (PS3.15 B.12, Non-Downgrading BCP 195 Profile).

TLS 1.2 or 1.3 with the cipher suites that RFC 9325 recommends: ephemeral keys and AEAD alone. The
network's own authority has no part in it: workstations and archives are no members.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final, Literal, Protocol

from p2pacs.errors import StateError
from p2pacs.files.private_files import make_private_folder, write_private
from p2pacs.identity import certificates

ClientCertificates = Literal["none", "optional", "required"]
"""Whether who calls us shows a certificate of an authority that we were told of."""

FOLDER: Final = "dicom-tls"
CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"

LIFETIME: Final = timedelta(days=3650)
"""Of a certificate that is made here: each workstation has to be told of another one."""

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""Of TLS 1.2 (RFC 9325 4.2); TLS 1.3 has no others."""


class CertificateFiles(Protocol):
    """What the settings say (`p2pacs.settings.tables.DicomTlsSettings`)."""

    @property
    def certificate(self) -> str | None:
        """PEM, with those of intermediate authorities after it; None: one is made."""

    @property
    def key(self) -> str | None:
        """PEM, of that certificate; None: in the same file."""

    @property
    def authorities(self) -> str | None:
        """PEM, whose certificates are believed; None: those that the system believes."""

    @property
    def clients(self) -> ClientCertificates:
        """Whether those who call must have one of them."""


class DicomTls:
    """The certificates of a program's DICOM interfaces; their files are read at each use."""

    def __init__(
        self, folder: Path, files: CertificateFiles, name: str, hosts: Callable[[], Sequence[str]]
    ) -> None:
        """Nothing is read or made yet.

        Args:
            folder: of the program; files are named from there on.
            files: what the settings say.
            name: what a certificate is made for.
            hosts: host names and addresses at which that is reached.
        """
        self._made_in = folder / FOLDER
        self._name = name
        self._hosts = hosts
        self._certificate, self._key, self._authorities = (
            None if file is None else folder / file
            for file in (files.certificate, files.key, files.authorities)
        )
        self._clients = files.clients
        self._making = Lock()

    def server(self) -> ssl.SSLContext:
        """For those who call us; blocks on files.

        Raises:
            StateError: a file cannot be read, or does not hold what it should.
        """
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0
        if self._clients != "none":
            required = self._clients == "required"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
            self._believe(context)
        return context

    def client(self) -> ssl.SSLContext:
        """For those whom we call: they must have a certificate of their name; blocks on files.

        Raises:
            StateError: a file cannot be read, or does not hold what it should.
        """
        context = self._context(ssl.PROTOCOL_TLS_CLIENT)
        self._believe(context)
        return context

    def _context(self, side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        certificate, key = self._files()
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:  # ssl.SSLError is one
            raise _unusable(certificate, error, "a certificate and its key (PEM)") from error
        return context

    def _believe(self, context: ssl.SSLContext) -> None:
        if self._authorities is None:
            context.load_default_certs()
            return
        # A certificate that is named there itself is believed, whoever signed it.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cafile=self._authorities)
        except OSError as error:
            raise _unusable(self._authorities, error, "certificates (PEM)") from error

    def _files(self) -> tuple[Path, Path | None]:
        if self._certificate is not None:
            return self._certificate, self._key
        with self._making:
            return self._made()

    def _made(self) -> tuple[Path, Path]:
        """Those that were made here, now or before."""
        made, key = self._made_in / CERTIFICATE, self._made_in / KEY
        if made.is_file() and key.is_file() and not _is_over(made):
            return made, key
        make_private_folder(self._made_in)
        secret = certificates.generate_key()
        hosts = [host for host in self._hosts() if not certificates.is_virtual(host)]
        private = certificates.load_key(secret, "the key just made")
        issued = certificates.site_certificate(private, self._name, hosts, LIFETIME)
        write_private(key, secret.reveal())
        write_private(made, certificates.to_pem(issued))
        return made, key


def _is_over(made: Path) -> bool:
    der = certificates.from_pem(made.read_bytes(), str(made))
    return certificates.load_certificate(der).not_valid_after_utc < datetime.now(UTC)


def _unusable(path: Path, error: OSError, wanted: str) -> StateError:
    if isinstance(error, ssl.SSLError):
        return StateError(f"{path} does not hold {wanted}")
    return StateError(f"cannot read {path}: {error.strerror}")
