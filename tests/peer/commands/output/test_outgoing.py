from typing import Any

from p2pacs.output.tables import render
from peer.commands.output.outgoing import outgoing_listing, outgoing_table

STUDY = {
    "number": 12,
    "state": "published",
    "why": "",
    "patient_id": "P1",
    "patient_name": "Doe^Jane",
    "instances": 300,
    "published": 120,
    "bytes": 160_000_000,
    "beside": 0,
    "callers": ["CT1"],
    "recipients": [],
    "commitments": [],
    "began": "2026-12-01T03:04:05+00:00",
}


def _shown(*studies: dict[str, Any], wide: int | None = 80) -> list[str]:
    return list(render([outgoing_table(studies)], wide))


def test_it_fits_eighty_columns() -> None:
    why = "study 0123abcd belongs to another hospital: its UID is used twice; ask the administrator"
    lines = _shown(STUDY, {**STUDY, "state": "refused", "why": why, "beside": 3})
    assert max(map(len, lines)) <= 80
    assert "120/300" in lines[2]
    assert "120/300" not in lines[3], "of what was refused nobody knows"
    assert "12-01 03:04" in lines[2]
    assert "3 kept" in " ".join(lines)


def test_whom_it_goes_to_has_a_column_for_programs() -> None:
    to = [
        {"name": "Capital", "known": True, "whole": True, "share": 1000},
        {"name": "South", "known": True, "whole": False, "share": 412},
        {"name": "Lost", "known": False, "whole": False, "share": 0},
    ]
    listed = outgoing_listing([{**STUDY, "recipients": to}])
    assert "to" in listed.columns
    said = "Capital has all; South has 41 %; Lost: no such member"
    assert [one["to"] for one in listed.rows] == [said]
    assert said in _shown({**STUDY, "recipients": to}, wide=None)[1]


def test_what_was_asked_and_answered_of_storage_commitment() -> None:
    waits = {
        "caller": "CT1", "asked": "2026-12-01T03:05:00+00:00", "answered": None,
        "safe": 10, "failed": 0, "waiting": 2,
    }  # fmt: skip
    told = waits | {"answered": "2026-12-01T03:09:00+00:00", "failed": 1}
    (row,) = outgoing_listing([{**STUDY, "commitments": [waits, told]}]).rows
    assert row["commitment"] == (
        "CT1 asked for commitment 12-01 03:05: 10 safe, waits for 2; "
        "CT1 asked for commitment 12-01 03:05, told 12-01 03:09: 10 safe, 3 not"
    )
    assert "10 safe" in _shown({**STUDY, "commitments": [told]}, wide=None)[1]


def test_who_has_no_name_is_told_by_the_id() -> None:
    plain = _shown({**STUDY, "patient_name": "", "published": 300}, wide=None)[1].split("\t")
    assert plain[:6] == ["12", "P1", "CT1", "12-01 03:04", "300", "160.0 MB"]
