import ssl

import pytest
import trio

from p2pacs.errors import AuthenticationError, LinkClosedError
from p2pacs.wire.channel.broken import explain


def broken(cause: BaseException | None) -> trio.BrokenResourceError:
    error = trio.BrokenResourceError()
    error.__cause__ = cause
    return error


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    "reason",
    [
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ],
)
def test_a_refused_certificate(reason: str) -> None:
    error = explain(broken(tls(reason)), "north")
    assert isinstance(error, AuthenticationError)
    assert "north refuses" in str(error)


@pytest.mark.parametrize(("code", "why"), [(9, "is not valid yet"), (10, "has ended")])
def test_a_wrong_clock_is_called_so(code: int, why: str) -> None:
    cause = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    cause.reason, cause.verify_code, cause.verify_message = "X", code, "X"
    error = explain(broken(cause), "north")
    assert isinstance(error, AuthenticationError)
    assert f"the certificate of north {why} by the clock of this machine" in str(error)


def test_something_else_than_tls() -> None:
    error = explain(broken(tls("WRONG_VERSION_NUMBER")), "north")
    assert isinstance(error, AuthenticationError)
    assert "does not speak" in str(error)


@pytest.mark.parametrize("cause", [None, OSError(104, "reset"), ssl.SSLEOFError(8, "eof")])
def test_a_connection_that_broke(cause: BaseException | None) -> None:
    assert isinstance(explain(broken(cause), "north"), LinkClosedError)
