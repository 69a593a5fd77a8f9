"""Settings out of a TOML file; what is wrong is said with its line, in words of settings."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from p2pacs.errors import SettingsError
from p2pacs.phrases import Phrase

M = TypeVar("M", bound=BaseModel)


def load_settings(path: Path, model: type[M]) -> M:
    """The settings in a TOML file.

    Raises:
        SettingsError: not readable, not TOML, or a wrong key or value; every one is named
            with file, line and key, and what is expected.
    """
    text = _text(path)
    values = _values(path, text)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_complaints(path, text, error))) from error


def read_given(path: Path) -> dict[str, Any]:
    """What a TOML file says of settings, for who makes a program's folder; not checked yet.

    Raises:
        SettingsError: not readable, or not TOML.
    """
    return _values(path, _text(path))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of which the second ones win, table by table."""
    both = {**base, **over}
    for key in base.keys() & over.keys():
        if isinstance(base[key], Mapping) and isinstance(over[key], Mapping):
            both[key] = merged(base[key], over[key])
    return both


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error


def _values(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            _twice(path, text, error) or f"{path}: not valid TOML: {error}"
        ) from error


_TWICE: Final = re.compile(r"Cannot declare (\(.*\)) twice \(at line (\d+),")
"""What `tomllib` says of a second section of one name."""


def _twice(path: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    """That a section stands there twice, and where it stands first; empty: something else."""
    found = _TWICE.match(str(error))
    if found is None:
        return ""
    keys, again = ast.literal_eval(found[1]), int(found[2])
    return (
        f"{path}:{again}: the section [{'.'.join(keys)}] stands in line {_line_of(text, keys)} "
        "already: write its settings there, and remove the second one"
    )


def _complaints(path: Path, text: str, error: ValidationError) -> Iterator[str]:
    for keys, detail in _details(error):
        key, said = ".".join(keys), in_words(detail)
        if detail["type"] == "missing":
            yield f"{path}: {key}: {said}"
        elif not keys:  # of the whole: it begins with a key
            yield f"{path}:{_line_of(text, said.partition(':')[0].split('.'))}: {said}"
        else:
            yield f"{path}:{_line_of(text, keys)}: {key}: {said}"


def complaints(error: ValidationError) -> str:
    """What is wrong with settings that came from elsewhere than a file: each with its key."""
    told = [
        Phrase("%(field)s: %(why)s", field=".".join(keys), why=in_words(detail))
        if keys
        else in_words(detail)
        for keys, detail in _details(error)
    ]
    return told[0] if len(told) == 1 else "; ".join(told)


def _details(error: ValidationError) -> Iterator[tuple[list[str], ErrorDetails]]:
    """What is wrong, with its keys; places in lists are left out.

    A list counts as too short without its wrong items: that follows from them and is not said.
    """
    details = error.errors(include_url=False, include_input=False)
    inside = {detail["loc"][:-1] for detail in details}
    for detail in details:
        if detail["type"] != "too_short" or detail["loc"] not in inside:
            yield [str(part) for part in detail["loc"] if isinstance(part, str)], detail


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Phrase]]] = {
    "missing": lambda _: Phrase("this setting is missing"),
    "extra_forbidden": lambda _: Phrase("there is no such setting (is it misspelt?)"),
    "tuple_type": lambda _: Phrase('a list is expected: ["…", "…"]'),
    "too_short": lambda it: Phrase("at least %(least)s must be named", least=it["min_length"]),
    "string_type": lambda _: Phrase('a text in quotes is expected: "…"'),
    "string_too_short": lambda it: Phrase(
        "it has at least so many characters: %(least)s", least=it["min_length"]
    ),
    "string_too_long": lambda it: Phrase(
        "it has at most so many characters: %(most)s", most=it["max_length"]
    ),
    "int_type": lambda _: _whole_number(),
    "int_parsing": lambda _: _whole_number(),
    "int_from_float": lambda _: _whole_number(),
    "bool_type": lambda _: _true_or_false(),
    "bool_parsing": lambda _: _true_or_false(),
    "greater_than_equal": lambda it: Phrase("at least %(least)s is possible", least=it["ge"]),
    "less_than_equal": lambda it: Phrase("at most %(most)s is possible", most=it["le"]),
    "literal_error": lambda it: Phrase("%(what)s is expected", what=it["expected"]),
    "enum": lambda it: Phrase("%(what)s is expected", what=it["expected"]),
    "dict_type": lambda _: _table(),
    "model_type": lambda _: _table(),
    "model_attributes_type": lambda _: _table(),
}
"""Pydantic's kinds of errors (docs.pydantic.dev, Validation Errors) in words of settings."""


def _whole_number() -> Phrase:
    return Phrase("a whole number is expected")


def _true_or_false() -> Phrase:
    return Phrase("true or false is expected")


def _table() -> Phrase:
    return Phrase("a table is expected, of keys with values")


def in_words(detail: ErrorDetails) -> str:
    """What one error of pydantic means, without its key; a phrase, most often."""
    words, context = _WORDS.get(detail["type"]), detail.get("ctx", {})
    if words is not None:
        return words(context)
    if isinstance(error := context.get("error"), ValueError):  # of a validator: it may be a phrase
        return str(error)
    return detail["msg"]


def _line_of(text: str, keys: Sequence[str]) -> int:
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


def _has(values: object, keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            # A list item or a union has more parts in its path than there are keys.
            return not isinstance(values, dict)
        values = values[key]
    return True
