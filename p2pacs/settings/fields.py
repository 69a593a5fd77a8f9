"""Kinds of values that settings have, as they are written."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, PlainSerializer, PlainValidator

from p2pacs.errors import UsageError
from p2pacs.hours import Hours
from p2pacs.phrases import Phrase
from p2pacs.units import MEASURED, Endpoint, HttpsOrigin, IPNetwork, format_rate, parse_rate


def _endpoint(value: object) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    try:
        return Endpoint.parse(value if isinstance(value, str) else repr(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


def _origin(value: object) -> HttpsOrigin:
    if isinstance(value, HttpsOrigin):
        return value
    try:
        return HttpsOrigin.parse(value if isinstance(value, str) else repr(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


def _rate(value: object) -> int:
    try:
        return parse_rate(value if isinstance(value, str) else repr(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


def _uplink(value: object) -> int | Literal["measured"]:
    return MEASURED if value == MEASURED else _rate(value)


def _write_uplink(value: float | Literal["measured"]) -> str:
    return MEASURED if value == MEASURED else format_rate(float(value))


def _hours(value: object) -> Hours:
    if isinstance(value, Hours):
        return value
    try:
        return Hours.parse(value if isinstance(value, str) else repr(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMGT]?B)")
_LARGEST: Final = 10**18
"""Bytes: an exabyte; twelve fit no database's number."""

_SMALLEST: Final = 10**6
"""Bytes: who writes a smaller number without a unit means another unit."""

_SIZES: Final = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}


def _ae_title(text: str) -> str:
    if not _AE_TITLE.fullmatch(text) or not text.strip():
        raise ValueError(Phrase("an AE title has 1 to 16 characters and no backslash (PS3.5 6.2)"))
    return text.strip()


def parse_size(value: object) -> int:
    """Bytes in ``50GB`` (decimal units), or the number itself if that can be meant.

    Raises:
        ValueError: neither.
    """
    if isinstance(value, int) and not isinstance(value, bool) and _SMALLEST <= value <= _LARGEST:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    # Not a float: from 9 PB on it has no place for single bytes.
    size = Decimal(match["number"]) * _SIZES[match["unit"]] if match else Decimal()
    if not 0.5 <= size <= _LARGEST:
        raise ValueError(Phrase("not a size (write it as 500MB, 50GB or 2TB)"))
    return round(size)


def _format_size(size: int) -> str:
    unit, factor = next(item for item in _SIZES.items() if size % item[1] == 0)
    return f"{size // factor}{unit}"


def _room(value: object) -> int:
    return 0 if value in (0, "off") else parse_size(value)


def _write_room(size: int) -> str:
    return _format_size(size) if size else "off"


def _network(value: object) -> IPNetwork:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    return ipaddress.ip_network(value if isinstance(value, str) else repr(value), strict=False)


EndpointField = Annotated[Endpoint, PlainValidator(_endpoint), PlainSerializer(str)]
"""An `Endpoint` field, written ``"HOST:PORT"``."""

OriginField = Annotated[HttpsOrigin, PlainValidator(_origin), PlainSerializer(str)]
"""An `HttpsOrigin` field, written ``"https://HOST"``."""

RateField = Annotated[int, PlainValidator(_rate), PlainSerializer(format_rate)]
"""Bits a second, written ``"800kbit"``."""

UplinkField = Annotated[
    int | Literal["measured"], PlainValidator(_uplink), PlainSerializer(_write_uplink)
]
"""Bits a second, written ``"800kbit"``, or ``"measured"``."""

HoursField = Annotated[Hours, PlainValidator(_hours), PlainSerializer(str)]
"""Hours with a rate, written ``"08:00-18:00 400kbit"``."""

SizeField = Annotated[int, PlainValidator(parse_size), PlainSerializer(_format_size)]
"""Bytes, written ``"50GB"``."""

RoomField = Annotated[int, PlainValidator(_room), PlainSerializer(_write_room)]
"""Bytes, written ``"2GB"``; 0 is written ``"off"``."""

AeTitleField = Annotated[str, AfterValidator(_ae_title)]
"""An AE title."""

NetworkField = Annotated[IPNetwork, PlainValidator(_network), PlainSerializer(str)]
"""An IP network, written ``"192.168.1.0/24"``."""
