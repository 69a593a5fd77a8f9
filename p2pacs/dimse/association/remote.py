"""Who is on the other side of an association."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from attrs import field, frozen
from attrs.validators import instance_of

from p2pacs.errors import UsageError

AET_CHARACTERS: Final = 16
"""An AE title's length at most (PS3.5 6.2, VR AE)."""


def check_aet(aet: str) -> str:
    """The AE title without the spaces around it, which mean nothing (PS3.5 6.2).

    Raises:
        UsageError: empty, too long, or with characters that VR AE does not allow.
    """
    title = aet.strip(" ")
    if not (0 < len(title) <= AET_CHARACTERS and title.isascii() and title.isprintable()):
        raise UsageError(f"not an AE title: {aet!r} (1 to {AET_CHARACTERS} ASCII characters)")
    if "\\" in title:
        raise UsageError(f"not an AE title: {aet!r} (no backslash)")
    return title


MakeContext = Callable[[], ssl.SSLContext]
"""Makes the TLS context of a connection; in a thread, as it reads files."""


@frozen(order=True)
class DimseRemote:
    """An application entity that speaks DIMSE, and where it listens."""

    aet: str = field(converter=check_aet)
    host: str = field(validator=instance_of(str))
    port: int = field()

    tls: Callable[[], ssl.SSLContext] | None = field(
        default=None, eq=False, order=False, repr=False
    )
    """None: it is not encrypted."""
    tls_name: str = field(default="", eq=False, order=False)
    """The name in its certificate, where that is not its host."""

    @port.validator
    def _check_port(self, _attribute: object, value: int) -> None:
        if not 0 < value <= 65535:
            raise UsageError(f"not a TCP port: {value}")

    def __str__(self) -> str:
        return f"{self.aet}@{self.host}:{self.port}"
