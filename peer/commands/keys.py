"""What ``find`` is to match, given as lines of text instead of options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from p2pacs.errors import UsageError


def add_keys(given: Mapping[str, str], text: str, names: Sequence[str]) -> dict[str, str]:
    """The keys given as options, and those in the lines of a text (``patient-name=Doe^J*``).

    Args:
        given: by name, as Python writes it (``patient_name``).
        text: a key a line, named as its option; empty lines do not matter.
        names: of all keys that there are.

    Raises:
        UsageError: no such key, or one twice. Lines are named by their number: they are a
            patient's.
    """
    keys = dict(given)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        option, equals, value = line.partition("=")
        name = option.strip().removeprefix("--").replace("-", "_")
        if not equals or name not in names:
            known = ", ".join(one.replace("_", "-") for one in names)
            raise UsageError(f"keys, line {number}: write KEY=VALUE; keys are {known}")
        if name in keys:
            raise UsageError(f"keys, line {number}: {name.replace('_', '-')} is given twice")
        if value.strip():
            keys[name] = value.strip()
    return keys
