"""What the doctor found, as lines: the state, what was looked at, what was found, what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from p2pacs.output.csv_text import csv_text
from p2pacs.output.json_object import JsonObject
from p2pacs.process.health import Health, HealthCheck, check_json, worst
from p2pacs.texts import clean

WIDTH: Final = 80
_WORDS: Final = {Health.GOOD: "ok", Health.LOOK: "look", Health.BAD: "bad"}
_INDENT: Final = " " * 6


def report_lines(checks: Sequence[HealthCheck]) -> Iterator[str]:
    """A line for each check, wrapped to 80 columns; advice underneath."""
    for check in checks:
        text = clean(f"{check.name}: {check.what}")
        yield from _wrapped(text, f"{_WORDS[check.state]:<6}")
        if check.advice:
            yield from _wrapped(clean(check.advice), f"{_INDENT}→ ")
    counts = {state: sum(one.state is state for one in checks) for state in Health}
    yield ""
    yield (
        f"{len(checks)} checks: {counts[Health.GOOD]} ok, {counts[Health.LOOK]} to look at, "
        f"{counts[Health.BAD]} bad."
    )


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def report_csv(checks: Sequence[HealthCheck]) -> str:
    """For ``--csv``: a line for each check."""
    return csv_text(("key", "name", "state", "what", "advice"), map(check_json, checks))


def report_json(checks: Sequence[HealthCheck]) -> JsonObject:
    """For ``--json``."""
    return {"state": worst(checks).value, "checks": [check_json(one) for one in checks]}
