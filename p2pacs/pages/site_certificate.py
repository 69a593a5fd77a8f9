"""HTTPS for pages with a certificate of the site: of its own authority, or fetched by ACME."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog
import trio

from p2pacs.errors import StateError
from p2pacs.pages.certificate import WebCertificate, make_certificate
from p2pacs.settings import WebSettings
from p2pacs.web.serving import web_context

log = structlog.get_logger(__name__)

EVERY: Final = 60.0
"""Seconds between two looks whether the files were replaced."""


class PagesCertificate(Protocol):
    """What pages are served with."""

    @property
    def context(self) -> ssl.SSLContext:
        """For connections."""

    async def keep_renewed(self) -> None:
        """Have connections made later see a newer certificate; for ever."""


class SiteCertificate:
    """A certificate in files that somebody else renews: an administrator, an ACME client."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Blocks on the files.

        Args:
            certificate: PEM, with those of intermediate authorities after it.
            key: PEM; None: in the same file.

        Raises:
            StateError: one cannot be read, or they are no certificate and its key.
        """
        self._certificate = certificate
        self._key = key or certificate
        self._seen = self._state()
        self.context = self._read()
        self._told = ""

    def look(self) -> bool:
        """Use what was put in the files since; whether it is another. Blocks on the files.

        Raises:
            StateError: as above; the certificate of before is used on.
        """
        state = self._state()
        if state == self._seen:
            return False
        # Into a context of its own first: half a new pair would leave the one in use with none.
        self._read()
        self.context.load_cert_chain(self._certificate, self._key)
        self._seen = state
        return True

    async def keep_renewed(self) -> None:
        """Look for ever; what cannot be used now is looked at again, and the old one does."""
        while True:
            await trio.sleep(EVERY)
            try:
                if await trio.to_thread.run_sync(self.look):
                    log.info("the pages have another certificate", file=str(self._certificate))
                self._told = ""
            except StateError as error:
                if str(error) != self._told:  # once, until it is another
                    self._told = str(error)
                    told = "the new certificate of the pages cannot be used"
                    log.error(told, error=self._told)  # noqa: TRY400 - no bug: no traceback

    def _state(self) -> tuple[tuple[int, int, int], ...]:
        try:
            found = [file.stat() for file in (self._certificate, self._key)]
        except OSError as error:
            raise _unreadable(error) from error
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)

    def _read(self) -> ssl.SSLContext:
        try:
            return web_context(str(self._certificate), str(self._key))
        except ssl.SSLError as error:
            raise StateError(
                f"{self._certificate} and {self._key} do not hold a certificate and its key (PEM)"
            ) from error
        except OSError as error:
            raise _unreadable(error) from error


def _unreadable(error: OSError) -> StateError:
    return StateError(
        f"cannot read {error.filename or 'the certificate of the pages'}: {error.strerror}"
    )


async def open_pages_certificate(
    home: Path, settings: WebSettings, make: Callable[[], WebCertificate]
) -> PagesCertificate:
    """The certificate of the settings, or else a fresh one of ours.

    Args:
        home: folder of the program, from which files are named.
        settings: of the pages.
        make: calls `WebCertificate.make`, in a worker thread.

    Raises:
        StateError: the files of the settings cannot be used.
        UsageError: a host that cannot be named.
    """
    if settings.certificate is None:
        return await make_certificate(make)
    key = None if settings.key is None else home / settings.key
    return await trio.to_thread.run_sync(SiteCertificate, home / settings.certificate, key)
