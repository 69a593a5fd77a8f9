"""What a member signs manifests of its own studies with, once a broker lets it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from p2pacs.errors import StateError, UsageError
from p2pacs.identity.files import read_secret, write_secret
from p2pacs.identity.keys import SigningKey

_FILE: Final = "sending.key"
_WHAT: Final = "the key that this member signs its studies with"


def load_sending_key(folder: Path) -> SigningKey:
    """The key in a member's identity folder, made when it is first asked for.

    Raises:
        StateError: it is damaged.
        LocalError: it cannot be written.
    """
    path = folder / _FILE
    if not path.exists():
        write_secret(path, SigningKey.generate().secret)
    try:
        return SigningKey.from_raw(read_secret(path, _WHAT))
    except UsageError as error:
        raise StateError(f"{_WHAT} is damaged: {path}; remove it, and a new one is made") from error
