"""Settings as a commented TOML file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from pydantic import BaseModel


def render_settings(settings: BaseModel, title: str) -> str:
    """The commented TOML file of these settings.

    Settings that were given stand there as such; all others are commented out with their
    default, so that a later version may change it.
    """
    lines = [*_comment(title), ""]
    for table, of_table in setting_tables(settings):
        if table:
            lines += ["", f"[{'.'.join(table)}]", ""]
        lines += _block(of_table)
    return "\n".join(lines) + "\n"


@frozen
class SettingLine:
    """One setting and its value."""

    name: str
    value: str
    """As it stands in the file; empty: not set."""
    given: bool
    """Whether the file says it; else it is the default."""
    about: str
    """What it is, in English."""
    is_optional: bool
    """Whether it may be left unset."""
    examples: tuple[str, ...]
    """As they stand in the file."""


def setting_tables(
    settings: BaseModel, table: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[SettingLine]]]:
    """Tables of the file and their settings, those of the table before its own tables."""
    lines: list[SettingLine] = []
    nested: list[tuple[tuple[str, ...], BaseModel]] = []
    values = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            nested.append(((*table, name), value))
            continue
        is_set = values[name] is not None
        given = is_set and name in settings.model_fields_set
        text = toml_value(values[name]) if is_set else ""
        examples = tuple(toml_value(one) for one in field.examples or ())
        optional = not field.is_required() and field.get_default(call_default_factory=True) is None
        about = field.description or ""
        lines.append(SettingLine(name, text, given, about, optional, examples))
    yield table, lines
    for name_of, inner in nested:
        yield from setting_tables(inner, name_of)


def _block(lines: list[SettingLine]) -> list[str]:
    block: list[str] = []
    for line in lines:
        block += _comment(_about(line))
        block += [f"{'' if line.given else '# '}{line.name} = {line.value}".rstrip(), ""]
    return block[:-1]


def _about(line: SettingLine) -> str:
    parts = [line.about]
    if line.is_optional:
        parts.append("Default: not set.")
    if line.examples:
        parts.append(f"Example: {' or '.join(line.examples)}.")
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
