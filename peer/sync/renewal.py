"""The member's certificate is renewed in good time, in the background."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
import trio

from p2pacs.errors import P2PacsError, ProtocolError
from p2pacs.identity.node import NodeIdentity, make_request
from p2pacs.swarm.host import Host
from p2pacs.wire.messages.messages import Renewal, RenewQuery

LOOK: Final = 3600.0
"""Seconds between two looks, at most; less when the certificate ends soon."""

LEAST: Final = 30.0
"""Seconds between two looks, at least."""

BEFORE: Final = timedelta(days=10)
"""A certificate is renewed this long before it ends, so that the broker may be away for days."""

ANSWER: Final = 30.0
"""Seconds for the broker to issue a certificate."""

log = structlog.get_logger(__name__)


def pause(left: timedelta) -> float:
    """Seconds until the next look at a certificate that ends after ``left``."""
    return min(LOOK, max(LEAST, left.total_seconds() / 4))


async def keep_renewed(
    identity: NodeIdentity, host: Host, renewed: Callable[[NodeIdentity], None]
) -> None:
    """Renew for ever; ``renewed`` is told of every new certificate."""
    while True:
        left = identity.expires - datetime.now(UTC)
        if left < BEFORE:
            try:
                identity = await renew(identity, host)
                renewed(identity)
            except P2PacsError as error:
                tell = log.error if left < BEFORE / 10 else log.info
                tell(
                    "certificate not renewed",
                    hours_left=round(left / timedelta(hours=1)),
                    error=str(error),
                )
        await trio.sleep(pause(left))


async def renew(identity: NodeIdentity, host: Host) -> NodeIdentity:
    """Ask the broker for a new certificate for the same key, and use it from now on.

    Raises:
        P2PacsError: the broker is away, refuses, or answers with a wrong certificate.
    """
    csr = await trio.to_thread.run_sync(make_request, identity.folder)
    reply = await host.call_broker(RenewQuery(0, csr), timeout=ANSWER)
    if not isinstance(reply, Renewal):
        raise ProtocolError("the broker answered a RenewQuery with something else")
    renewed = await trio.to_thread.run_sync(identity.renewed, reply.certificate)
    log.info("certificate renewed", expires=renewed.expires.isoformat())
    return renewed
