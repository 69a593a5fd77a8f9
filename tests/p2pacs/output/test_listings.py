import json

import pytest

from p2pacs.errors import UsageError
from p2pacs.output.listings import PrintedList, print_listing, printed_for_programs
from p2pacs.output.tables import Column, Table

LISTING = PrintedList(
    "members",
    ("name", "uplink"),
    [{"name": "North", "uplink": None}],
    lambda: Table([Column("Name"), Column("Up")], [("North", "no limit")]),
)


def test_a_table_json_or_csv(capsys: pytest.CaptureFixture[str]) -> None:
    print_listing(LISTING, as_json=False, as_csv=False)
    assert capsys.readouterr().out == "Name\tUp\nNorth\tno limit\n"
    print_listing(LISTING, as_json=True, as_csv=False)
    assert json.loads(capsys.readouterr().out) == {"members": [{"name": "North", "uplink": None}]}
    print_listing(LISTING, as_json=False, as_csv=True)
    assert capsys.readouterr().out == "name,uplink\nNorth,\n"


def test_one_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="not both"):
        print_listing(LISTING, as_json=True, as_csv=True)
    assert capsys.readouterr().out == ""


def test_one_object_as_json_or_csv(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"running": True, "pacs": {"state": "away", "why": None}, "linked": ["North", "=South"]}
    assert not printed_for_programs(said, as_json=False, as_csv=False)
    assert printed_for_programs(said, as_json=True, as_csv=False)
    assert json.loads(capsys.readouterr().out) == said
    assert printed_for_programs(said, as_json=False, as_csv=True)
    assert capsys.readouterr().out.splitlines() == [
        "name,value",
        "running,yes",
        "pacs.state,away",
        "pacs.why,",
        "linked.0,North",
        "linked.1,'=South",
    ]
    with pytest.raises(UsageError, match="not both"):
        printed_for_programs(said, as_json=True, as_csv=True)
