"""What a field writes, it reads as the same value; what it cannot read, it says so."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from p2pacs.settings.fields import (
    AeTitleField,
    EndpointField,
    HoursField,
    NetworkField,
    OriginField,
    RateField,
    RoomField,
    SizeField,
    UplinkField,
    parse_size,
)

FIELDS: dict[str, TypeAdapter[Any]] = {
    "ae title": TypeAdapter(AeTitleField),
    "endpoint": TypeAdapter(EndpointField),
    "hours": TypeAdapter(HoursField),
    "network": TypeAdapter(NetworkField),
    "origin": TypeAdapter(OriginField),
    "rate": TypeAdapter(RateField),
    "room": TypeAdapter(RoomField),
    "size": TypeAdapter(SizeField),
    "uplink": TypeAdapter(UplinkField),
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ae title", "WS 1"),
        ("endpoint", "pacs.example:104"),
        ("endpoint", "[::1]:104"),
        ("hours", "08:00-18:00 400kbit"),
        ("network", "192.168.1.0/24"),
        ("network", "fd00::/8"),
        ("origin", "https://viewer.example"),
        ("rate", "800kbit"),
        ("room", "2GB"),
        ("room", "off"),
        ("size", "50GB"),
        ("uplink", "3mbit"),
        ("uplink", "measured"),
    ],
)
def test_what_is_written_as_it_was_read(kind: str, text: str) -> None:
    field = FIELDS[kind]
    value = field.validate_python(text)
    assert field.dump_python(value) == text
    assert field.validate_python(value) == value


@given(st.integers(1, 10**18))
def test_every_size_is_written_exactly(size: int) -> None:
    assert parse_size(FIELDS["size"].dump_python(size)) == size


@pytest.mark.parametrize("kind", FIELDS)
@given(value=st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.none(), st.booleans()))
def test_anything_else_is_refused_or_stays_as_it_was_written(kind: str, value: object) -> None:
    """A rate keeps three decimals when it is first written, and does not change any more then."""
    field = FIELDS[kind]
    with suppress(ValidationError):
        written = field.dump_python(field.validate_python(value))
        assert field.dump_python(field.validate_python(written)) == written


@pytest.mark.parametrize("size", ["", "50", 50, "50 gb", "-1GB", "0.1B", "2000000TB", 10**19, True])
def test_what_is_no_size(size: object) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(size)
