"""What ``find`` is to match, given as lines of text instead of options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from p2pacs.catalogue.times import bounds
from p2pacs.errors import UsageError


def check_date(value: str) -> None:
    """Whether a date, or a range of dates, is one as DICOM writes it (PS3.4 C.2.2.2.5).

    Raises:
        UsageError: it is not. The value may be a patient's, so it is not repeated.
    """
    if any(one.strip("*") and bounds("DA", one) is None for one in value.split("\\")):
        raise UsageError(
            "--study-date is a date written as 20260131, or a range: 20260101-20260131, "
            "20260101- or -20260131"
        )


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
