"""The broker's own certificates never end while it runs: the one it has as a member, the pages'."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

import structlog
import trio

from broker.pages.certificate import WebCertificate
from broker.setup import BrokerSecrets, renew_own
from p2pacs.errors import P2PacsError
from p2pacs.sqlite import until_possible

log = structlog.get_logger(__name__)

T = TypeVar("T")

LEFT: Final = timedelta(days=60)
"""What is left of the broker's own certificate when it is renewed."""

EVERY: Final = 12 * 3600.0
"""Seconds between two looks at the certificates; the pages' is renewed at each."""


async def keep_renewed(keys: BrokerSecrets, pages: WebCertificate | None) -> None:
    """Renew for ever. What cannot be renewed now is tried again: until then the old one does.

    Args:
        keys: of the broker, whose certificate ends at some time.
        pages: their certificate, a fresh one; None without HTTPS.
    """
    expires = keys.identity.expires
    while True:
        if expires - datetime.now(UTC) < LEFT:
            renewed = await _renewed(partial(renew_own, keys), "the broker's certificate")
            if renewed is not None:
                expires = renewed.expires
                log.info("own certificate renewed", until=expires.isoformat())
        await trio.sleep(EVERY)
        if pages is not None:
            await _renewed(pages.renew, "the certificate of the pages")


async def _renewed(renew: Callable[[], T], name: str) -> T | None:
    """Renew as soon as the disk has room; None if it cannot be at all: at the next look, then."""
    try:
        return await until_possible(partial(trio.to_thread.run_sync, renew), name)
    except P2PacsError as error:
        told = "a certificate is not renewed"
        log.error(told, which=name, error=str(error))  # noqa: TRY400 - no bug: no traceback
        return None
