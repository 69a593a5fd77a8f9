"""Why a stream broke, in our words."""

from __future__ import annotations

import ssl
from typing import Final

from p2pacs.errors import AccessError, AuthenticationError, LinkClosedError

_ALERTS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "PROTOCOL_VERSION", "HANDSHAKE")

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
        return AuthenticationError(f"the certificate of {name} is refused: {tls.verify_message}")
    reason = "" if tls is None or isinstance(tls, _ENDS) else tls.reason or ""
    if "ALERT" in reason and any(alert in reason for alert in _ALERTS):
        return AuthenticationError(f"{name} refuses this side's certificate or TLS: {reason}")
    if reason:
        return AuthenticationError(f"{name} does not speak the TLS that it must: {reason}")
    return LinkClosedError(f"the connection to {name} broke")
