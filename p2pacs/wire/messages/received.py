"""What a member received of studies, and from whom: as it tells the broker (docs/wire.md, 58)."""

from __future__ import annotations

from typing import Any, Final

import msgpack
from attrs import frozen

from p2pacs.errors import MalformedMessageError, UsageError
from p2pacs.ids import StudyId, VirtualAddress

HOUR: Final = 3600 * 1000
"""Milliseconds."""

MOST_BYTES: Final = 1 << 50
"""Of one study from one member in an hour: a petabyte is no study."""


@frozen
class Received:
    """How much of a study came from one member within an hour."""

    hour: int
    """At which it began: milliseconds since 1970 (UTC), a multiple of `HOUR`."""
    study: StudyId
    giver: VirtualAddress
    size: int
    """Bytes of chunks that were verified."""
    serial: int
    """Of the report: grows from one to the next, so that one that comes twice counts once."""

    def packed(self) -> bytes:
        """As one record of an `AuditReport`."""
        said = {
            "received": self.study.raw,
            "giver": self.giver.raw,
            "hour": self.hour,
            "bytes": self.size,
            "serial": self.serial,
        }
        raw: bytes = msgpack.packb(said)
        return raw


def is_received(raw: bytes) -> bool:
    """Whether a record of an `AuditReport` tells of what was received, and not of a read."""
    return b"\xa8received" in raw[:16]  # its first key; checked whole when it is unpacked


def unpack_received(raw: bytes) -> Received:
    """A record that `Received.packed` made.

    Raises:
        MalformedMessageError: it is none.
    """
    try:
        return _of_fields(msgpack.unpackb(raw, max_map_len=8, max_array_len=0, max_ext_len=0))
    except (ValueError, TypeError, KeyError, UsageError) as error:
        raise MalformedMessageError("not a record of what was received") from error
    except msgpack.UnpackException as error:
        raise MalformedMessageError("not a record of what was received: not msgpack") from error


def _of_fields(fields: dict[str, Any]) -> Received:
    hour, size, serial = fields["hour"], fields["bytes"], fields["serial"]
    if not all(type(one) is int and 0 <= one < 1 << 62 for one in (hour, size, serial)):
        raise ValueError("no numbers")
    if hour % HOUR or size > MOST_BYTES:
        raise ValueError("no hour, or too much")
    return Received(
        hour, StudyId(fields["received"]), VirtualAddress(fields["giver"]), size, serial
    )
