"""Settings in a commented TOML file: loaded through a pydantic model, and written from it.

The model is the only description: its fields carry meaning (``description``),
default and example (``examples``), from which `render_settings` writes the file.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, ValidationError
from pydantic.fields import FieldInfo

from p2pacs.errors import SettingsError, UsageError
from p2pacs.units import Endpoint, format_rate, parse_rate


class Settings(BaseModel):
    """Base of all settings models: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def _endpoint(value: object) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    try:
        return Endpoint.parse(value if isinstance(value, str) else repr(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


def _rate(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    try:
        return parse_rate(value if isinstance(value, str) else repr(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


EndpointField = Annotated[Endpoint, PlainValidator(_endpoint), PlainSerializer(str)]
"""An `Endpoint` field, written ``"HOST:PORT"``."""

RateField = Annotated[int, PlainValidator(_rate), PlainSerializer(format_rate)]
"""Bits a second, written ``"800kbit"``."""


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
    for detail in error.errors(include_url=False, include_input=False):
        keys = [str(part) for part in detail["loc"] if isinstance(part, str)]
        key = ".".join(keys)
        line = _line_of(text, keys)
        if detail["type"] == "missing":
            yield f"{path}: {key}: this setting is missing"
        elif detail["type"] == "extra_forbidden":
            yield f"{path}:{line}: {key}: there is no such setting (is it misspelt?)"
        else:
            yield f"{path}:{line}: {key}: {detail['msg'].removeprefix('Value error, ')}"


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
