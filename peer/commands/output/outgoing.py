"""What ``p2pacs sent`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from p2pacs.output.json_object import JsonObject
from p2pacs.output.listings import PrintedList
from p2pacs.output.tables import Column, Table
from p2pacs.units import format_bytes

_COLUMNS: Final = (
    "number",
    "state",
    "why",
    "again",
    "patient_id",
    "patient_name",
    "study_date",
    "description",
    "instances",
    "published",
    "bytes",
    "spooled",
    "beside",
    "callers",
    "began",
    "latest",
    "copies",
    "stat",
    "to",
    "replicas",
    "commitment",
    "study",
    "study_instance_uid",
)

OUTGOING_STATES: Final = {
    "waiting": "waits for the broker",
    "coming": "being received",
    "publishing": "going into the network",
    "published": "on its way to the PACS",
    "stored": "in the PACS",
    "failing": "not sent yet, tried again",
    "refused": "refused",
    "cancelled": "cancelled",
}
"""How far a study is, in words."""

_DONE: Final = {
    "retry": "Study {number} is sent (again).",
    "cancel": "Nothing more of study {number} is sent; what is in the PACS stays.",
    "address": "Study {number} goes to them, too.",
    "remove": "What was kept here of study {number} is removed.",
}


def outgoing_listing(studies: Sequence[JsonObject]) -> PrintedList:
    """All studies that are sent from here; in a line for each ``to`` says whom it goes to, and
    ``commitment`` what was asked and answered of Storage Commitment."""
    rows = [
        {
            **one,
            "to": "; ".join(map(_recipient, one["recipients"])),
            "commitment": "; ".join(map(_commitment, one["commitments"])),
        }
        for one in studies
    ]
    return PrintedList("studies", _COLUMNS, rows, partial(outgoing_table, studies))


def outgoing_table(studies: Sequence[JsonObject]) -> Table:
    """The same for people."""
    columns = [
        Column("No.", right=True),
        Column("Patient", wraps=True),
        Column("From", wraps=True),
        Column("Came (UTC)"),
        Column("Images", right=True),
        Column("Size", right=True),
        Column("State", wraps=True),
    ]
    return Table(columns, [_row(one) for one in studies])


def _row(one: JsonObject) -> tuple[str, ...]:
    return (
        str(one["number"]),
        one["patient_name"] or one["patient_id"],
        " ".join(one["callers"]),
        _minute(one["began"]),
        _images(one),
        format_bytes(one["bytes"]),
        how_far(one),
    )


def _images(one: JsonObject) -> str:
    done, count = one["published"], one["instances"]
    # Of what was refused it is not known: the PACS may have all of it.
    return str(count) if done >= count or one["state"] == "refused" else f"{done}/{count}"


def how_far(one: JsonObject) -> str:
    """How far a study is, why it is no further, and how far those are that it is addressed to."""
    said = OUTGOING_STATES[one["state"]]
    if one["why"]:
        said = f"{said}: {one['why']}"
    if one["beside"]:
        said = f"{said}; {one['beside']} kept beside"
    asked = map(_commitment, one["commitments"])
    return "; ".join([said, *map(_recipient, one["recipients"]), *asked])


def _commitment(asked: JsonObject) -> str:
    """What an AE title asked of Storage Commitment, and what it was told."""
    said = f"{asked['caller']} asked for commitment {_minute(asked['asked'])}"
    if asked["answered"] is None:
        return f"{said}: {asked['safe']} safe, waits for {asked['waiting']}"
    failed = asked["failed"] + asked["waiting"]
    return f"{said}, told {_minute(asked['answered'])}: {asked['safe']} safe, {failed} not"


def _minute(time: str) -> str:
    """A time of UTC, as the column of times has it."""
    return time[5:16].replace("T", " ")


def _recipient(to: JsonObject) -> str:
    if not to["known"]:
        return f"{to['name']}: no such member"
    return f"{to['name']} has {'all' if to['whole'] else str(to['share'] // 10) + ' %'}"


def changed_line(number: int, what: str) -> str:
    """What was done about a study."""
    return _DONE[what].format(number=number)
