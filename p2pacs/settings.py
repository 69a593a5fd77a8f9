"""Settings in a commented TOML file: loaded through a pydantic model, and written from it.

The model is the only description: its fields carry meaning (``description``),
default and example (``examples``), from which `render_settings` writes the file.
"""

from __future__ import annotations

import ipaddress
import json
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from p2pacs.errors import SettingsError, UsageError
from p2pacs.hours import Hours
from p2pacs.units import Endpoint, IPNetwork, format_rate, parse_rate


class Settings(BaseModel):
    """Base of all settings models: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)

MEASURED: Final = "measured"
"""Instead of an uplink's rate: find it out."""


def _endpoint(value: object) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    try:
        return Endpoint.parse(value if isinstance(value, str) else repr(value))
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
_SMALLEST: Final = 10**6
"""Bytes: who writes a smaller number without a unit means another unit."""

_SIZES: Final = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}


def _ae_title(text: str) -> str:
    if not _AE_TITLE.fullmatch(text) or not text.strip():
        raise ValueError("an AE title has 1 to 16 characters and no backslash (PS3.5 6.2)")
    return text.strip()


def parse_size(value: object) -> int:
    """Bytes in ``50GB`` (decimal units), or the number itself if that can be meant.

    Raises:
        ValueError: neither.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= _SMALLEST:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = round(float(match["number"]) * _SIZES[match["unit"]]) if match else 0
    if size < 1:
        raise ValueError("not a size (write it as 500MB, 50GB or 2TB)")
    return size


def _format_size(size: int) -> str:
    unit, factor = next(item for item in _SIZES.items() if size % item[1] == 0)
    return f"{size // factor}{unit}"


def _network(value: object) -> IPNetwork:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    return ipaddress.ip_network(value if isinstance(value, str) else repr(value), strict=False)


EndpointField = Annotated[Endpoint, PlainValidator(_endpoint), PlainSerializer(str)]
"""An `Endpoint` field, written ``"HOST:PORT"``."""

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

AeTitleField = Annotated[str, AfterValidator(_ae_title)]
"""An AE title."""

NetworkField = Annotated[IPNetwork, PlainValidator(_network), PlainSerializer(str)]
"""An IP network, written ``"192.168.1.0/24"``."""


# ---------------------------------------------------------------- tables that both sides have


class LineSettings(Settings):
    """The line to the other members."""

    uplink: UplinkField | None = Field(
        default=None,
        description='How much of the uplink p2pacs may use. "measured": as much as the line '
        "carries while others on it still get through at once. Not set: all that there is, "
        "without regard to others.",
        examples=["800kbit", "measured"],
    )
    hours: tuple[HoursField, ...] = Field(
        default=(),
        description="Hours (local time) in which another rate counts for the uplink; for a "
        "measured uplink it is the most. The first that fits counts; off: no images are sent.",
        examples=[["mon-fri 08:00-18:00 400kbit", "sat,sun 00:00-24:00 off"]],
    )
    downlink: RateField | None = Field(
        default=None,
        description="How much of the downlink p2pacs may use; not set: all that there is.",
        examples=["3mbit"],
    )
    lan: tuple[NetworkField, ...] = Field(
        default=(),
        description="Networks beside this machine: what goes there is not counted as the line's.",
        examples=[["192.168.1.0/24"]],
    )

    @model_validator(mode="after")
    def _hours_need_an_uplink(self) -> Self:
        if self.hours and self.uplink is None:
            raise ValueError("hours need an uplink, which counts in all others")
        return self


class StoreSettings(Settings):
    """The chunks on disk."""

    capacity: SizeField | None = Field(
        default=None,
        description="Bytes that the store may use. Studies not used for longest are dropped when "
        "it is reached, but never the last copy of one. Not set: until the disk is full.",
        examples=["50GB"],
    )


class LogSettings(Settings):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    json_lines: bool = Field(default=False, description="One JSON object a line instead of text.")


# ---------------------------------------------------------------- reading


def load_settings(path: Path, model: type[M]) -> M:
    """The settings in a TOML file.

    Raises:
        SettingsError: not readable, not TOML, or a wrong key or value; every one is named
            with file, line and key, and what is expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_complaints(path, text, error))) from error


def _complaints(path: Path, text: str, error: ValidationError) -> Iterator[str]:
    for keys, detail in _details(error):
        key, said = ".".join(keys), _in_words(detail)
        if detail["type"] == "missing":
            yield f"{path}: {key}: {said}"
        elif not keys:  # of the whole: it begins with a key
            yield f"{path}:{_line_of(text, said.partition(':')[0].split('.'))}: {said}"
        else:
            yield f"{path}:{_line_of(text, keys)}: {key}: {said}"


def complaints(error: ValidationError) -> str:
    """What is wrong with settings that came from elsewhere than a file: each with its key."""
    told = [(".".join(keys), _in_words(detail)) for keys, detail in _details(error)]
    return "; ".join(f"{key}: {said}" if key else said for key, said in told)


def _details(error: ValidationError) -> Iterator[tuple[list[str], ErrorDetails]]:
    """What is wrong, with its keys; places in lists are left out.

    A list counts as too short without its wrong items: that follows from them and is not said.
    """
    details = error.errors(include_url=False, include_input=False)
    inside = {detail["loc"][:-1] for detail in details}
    for detail in details:
        if detail["type"] != "too_short" or detail["loc"] not in inside:
            yield [str(part) for part in detail["loc"] if isinstance(part, str)], detail


_WORDS: Final = {
    "missing": "this setting is missing",
    "extra_forbidden": "there is no such setting (is it misspelt?)",
    "tuple_type": 'a list is expected: ["…", "…"]',
    "too_short": "at least {min_length} must be named",
    "string_type": 'a text in quotes is expected: "…"',
    "string_too_short": "it has at least so many characters: {min_length}",
    "string_too_long": "it has at most so many characters: {max_length}",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "greater_than_equal": "at least {ge} is possible",
    "less_than_equal": "at most {le} is possible",
    "literal_error": "{expected} is expected",
    "enum": "{expected} is expected",
    "dict_type": "a table is expected, of keys with values",
    "model_type": "a table is expected, of keys with values",
    "model_attributes_type": "a table is expected, of keys with values",
}
"""Pydantic's kinds of errors (docs.pydantic.dev, Validation Errors) in words of settings."""


def _in_words(detail: ErrorDetails) -> str:
    words = _WORDS.get(detail["type"])
    if words is None:
        return detail["msg"].removeprefix("Value error, ")
    return words.format_map(detail.get("ctx", {}))


def _line_of(text: str, keys: list[str]) -> int:
    """The line (from 1) on which the value of a key begins.

    It follows the longest prefix of lines that is TOML by itself and lacks the key: exact
    for dotted keys, tables, inline tables and values over many lines.
    """
    lines = text.splitlines()
    line = 1
    for count in range(len(lines)):
        try:
            values = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        if _has(values, keys):
            break
        line = count + 1
    return line


def _has(values: object, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            # A list item or a union has more parts in its path than there are keys.
            return not isinstance(values, dict)
        values = values[key]
    return True


# ---------------------------------------------------------------- writing


def render_settings(settings: BaseModel, title: str) -> str:
    """The commented TOML file of these settings.

    Settings that were given stand there as such; all others are commented out with their
    default, so that a later version may change it.
    """
    lines = [*_comment(title), ""]
    for table, block in _tables(settings, ()):
        if table:
            lines += ["", f"[{'.'.join(table)}]", ""]
        lines += block
    return "\n".join(lines) + "\n"


def _tables(
    settings: BaseModel, table: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    block: list[str] = []
    nested: list[tuple[tuple[str, ...], BaseModel]] = []
    values = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            nested.append(((*table, name), value))
            continue
        block += _comment(_about(field))
        if name in settings.model_fields_set and values[name] is not None:
            block.append(f"{name} = {toml_value(values[name])}")
        elif values[name] is not None:
            block.append(f"# {name} = {toml_value(values[name])}")
        else:
            block.append(f"# {name} =")
        block.append("")
    yield table, block[:-1]
    for name_of, inner in nested:
        yield from _tables(inner, name_of)


def _about(field: FieldInfo) -> str:
    parts = [field.description or ""]
    if not field.is_required() and field.get_default(call_default_factory=True) is None:
        parts.append("Default: not set.")
    if field.examples:
        parts.append("Example: " + " or ".join(toml_value(one) for one in field.examples) + ".")
    return " ".join(part for part in parts if part)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 88, break_long_words=False)]


def toml_value(value: Any) -> str:
    """A JSON-like value as TOML 1.0."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_value(str(key))} = {toml_value(value[key])}" for key in value)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    return json.dumps(value)
