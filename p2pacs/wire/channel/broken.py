"""Errors of broken streams, translated into those of p2pacs/errors.py."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Final

from p2pacs.errors import AccessError, AuthenticationError, LinkClosedError

_ALERTS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "PROTOCOL_VERSION", "HANDSHAKE")

_OF_TIME: Final = {9: "is not valid yet", 10: "has ended"}
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl-verification-options)."""

_ENDS: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__
    return error


def explain(error: BaseException, name: str) -> AccessError | LinkClosedError:
    """What a broken stream means.

    Args:
        error: what trio raised, with what the TLS library raised as its cause.
        name: who was at the other end.
    """
    tls = _tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        why = _OF_TIME.get(tls.verify_code)
        if why is not None:
            return AuthenticationError(
                f"the certificate of {name} {why} by the clock of this machine, which says "
                f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: set that clock, or else {name}'s"
            )
        return AuthenticationError(f"the certificate of {name} is refused: {tls.verify_message}")
    reason = "" if tls is None or isinstance(tls, _ENDS) else tls.reason or ""
    if "ALERT" in reason and any(alert in reason for alert in _ALERTS):
        clock = "; is the clock of this machine right?" if "CERTIFICATE" in reason else ""
        return AuthenticationError(
            f"{name} refuses this side's certificate or TLS: {reason}{clock}"
        )
    if reason:
        return AuthenticationError(f"{name} does not speak the TLS that it must: {reason}")
    return LinkClosedError(f"the connection to {name} broke")
