"""The broker's own certificate as a member never ends while it runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog
import trio

from broker.setup import BrokerSecrets, renew_own
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import P2PacsError

log = structlog.get_logger(__name__)

LEFT: Final = timedelta(days=60)
"""What is left of it when it is renewed."""

EVERY: Final = 12 * 3600.0
"""Seconds between two looks at it."""


async def keep_renewed(keys: BrokerSecrets) -> None:
    """Renew for ever. What cannot be renewed now is tried again: until then the old one does.

    Args:
        keys: of the broker.
    """
    expires = keys.identity.expires
    while True:
        if expires - datetime.now(UTC) < LEFT:
            renew = partial(trio.to_thread.run_sync, renew_own, keys)
            try:
                renewed = await until_possible(renew, "the broker's certificate")
            except P2PacsError as error:
                told = "the broker's certificate is not renewed"
                log.error(told, error=str(error))  # noqa: TRY400 - no bug: no traceback
            else:
                expires = renewed.expires
                log.info("own certificate renewed", until=expires.isoformat())
        await trio.sleep(EVERY)
