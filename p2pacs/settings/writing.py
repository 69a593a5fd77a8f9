"""Settings as a commented TOML file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


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
