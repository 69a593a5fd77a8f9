"""One-time codes: six digits that change every half minute (TOTP, RFC 6238); recovery codes. Pure.

Phones have the secret by a QR code of its ``otpauth:`` address, and count the same half minutes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from p2pacs.errors import UsageError
from p2pacs.languages import _

STEP: Final = 30
"""Seconds that a code is shown (RFC 6238, 5.2)."""

DIGITS: Final = 6

SECRET_BYTES: Final = 20
"""RFC 4226, R6: 160 bits are recommended; all apps take them with SHA-1, and some nothing else."""

RECOVERY_CODES: Final = 10

_RECOVERY_BYTES: Final = 7
"""Of a recovery code: 56 bits, which nobody guesses at the pace of sign-ins."""


def new_secret() -> bytes:
    """A random secret."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """The secret as people type it into an app: base32."""
    return base64.b32encode(secret).decode()


def read_secret_text(text: str) -> bytes:
    """The same back.

    Raises:
        UsageError: not a secret of ours.
    """
    try:
        secret = base64.b32decode(text)
    except (binascii.Error, ValueError) as error:
        raise UsageError(_("this is no secret: begin again")) from error
    if len(secret) != SECRET_BYTES:
        raise UsageError(_("this is no secret: begin again"))
    return secret


def code_at(secret: bytes, step: int) -> str:
    """The code of one half minute.

    Args:
        secret: of the account.
        step: half minutes since 1970.
    """
    # No key stretching or signature depends on SHA-1 here: it is the one that all apps know.
    return HOTP(secret, DIGITS, SHA1()).generate(step).decode()  # noqa: S303


def matching_step(secret: bytes, code: str, at: int, after: int) -> int | None:
    """The half minute that a code is of: this one, or the one before or after (clocks differ).

    Args:
        secret: of the account.
        code: as typed, without spaces.
        at: seconds since 1970.
        after: the last half minute whose code was used; it and those before count no more.

    Returns:
        None if it is of none of them.
    """
    now = at // STEP
    for step in (now - 1, now, now + 1):
        if step > after and secrets.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def app_address(secret: bytes, account: str, issuer: str) -> str:
    """The address in the QR code (the format that authenticator apps agree on).

    Args:
        secret: of the account.
        account: its name.
        issuer: whose account it is, as the app shows it.
    """
    label = quote(f"{issuer}:{account}", safe="")
    return f"otpauth://totp/{label}?" + urlencode(
        {"secret": secret_text(secret), "issuer": issuer}, quote_via=quote
    )


def new_recovery_codes() -> list[str]:
    """Codes that are good once each, for who has lost the phone: ``xxxx-xxxx-xxxx``."""
    codes = []
    for _code in range(RECOVERY_CODES):
        text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower().rstrip("=")
        codes.append("-".join(text[at : at + 4] for at in range(0, len(text), 4)))
    return codes


def recovery_hash(account: str, code: str) -> bytes:
    """What is kept of a recovery code; capitals, spaces and dashes do not matter."""
    plain = plain_code(code).lower()
    return hashlib.sha256(f"p2pacs recovery code\0{account}\0{plain}".encode()).digest()


def plain_code(text: str) -> str:
    """A code as typed, without what people put between its parts."""
    return "".join(text.split()).replace("-", "")
