import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.members.registry import Registration
from broker.registration.fields import FIELDS
from broker.registration.member_sheet import BYTES, ROWS, read_sheet
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role

GOOD = """\
name,role,uplink,downlink,read
North General,hospital,800kbit,3mbit,"Modality=CT,MR; InstitutionName=North*"

South Clinic,Hospital,,16mbit,
Replica 1,replica,,,
"""
SAID = [
    Registration(
        "North General",
        Role.HOSPITAL,
        800_000,
        3_000_000,
        "Modality=CT,MR; InstitutionName=North*",
    ),
    Registration("South Clinic", Role.HOSPITAL, None, 16_000_000, "all"),
    Registration("Replica 1", Role.REPLICA, None, None, "none"),
]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_write(separator: str, coding: str, end: str) -> None:
    out = io.StringIO()
    rows = csv.reader(io.StringIO(GOOD))
    csv.writer(out, delimiter=separator, lineterminator=end).writerows(rows)
    sheet = read_sheet(out.getvalue().encode(coding))
    assert sheet.wrong == []
    assert sheet.registrations == SAID
    assert [row.line for row in sheet.rows] == [2, 4, 5]


def test_columns_in_any_order_and_not_all() -> None:
    sheet = read_sheet(b"Role, NAME\nreplica, R\n")
    assert sheet.registrations == [Registration("R", Role.REPLICA, None, None, "none")]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "these are missing: name, role"),
        (b"name\nNorth\n", "these are missing: role"),
        (b"name,role,token\n", "no column 'token'"),
        (b"name,role,role\n", "twice"),
        (b"name,role\n", "names nobody"),
        (b"name,role\n\n , \n", "names nobody"),
        ("name,role\nN\u00f6rd,hospital".encode("latin-1"), "not UTF-8"),
        (b'name,role\n"North,hospital\n', "no CSV"),
        (b'name,role\n"North"x,hospital\n', "line 2: no CSV"),
        (b"name,role\n" + b"x" * BYTES, "longer than 256 KiB"),
        (b"name,role\n" + b"N,hospital\n" * (ROWS + 1), "at most 1000 members"),
        (b"name,role\n" + b"x" * 200_000, "no CSV"),
    ],
)
def test_what_is_no_such_file(raw: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_sheet(raw)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (",hospital,,,", {"name"}),
        ("Broker,hospital,,,", {"name"}),
        ("first,hospital,,,", {"name"}),
        ("X,king,fast,0,Color=red", {"role", "uplink", "downlink", "read"}),
        ("X,replica,,,all", {"read"}),
        ("X,hospital,,,Modality=CT,MR", {"row"}),
        ("X", {"role"}),
        ("X,hospital,,,Modality=" + "C" * 5000, {"read"}),
    ],
)
def test_every_mistake_stands_at_its_field(row: str, wrong: set[str]) -> None:
    raw = f"name,role,uplink,downlink,read\nFirst,hospital,,,\n{row}\n"
    sheet = read_sheet(raw.encode(), taken={"broker"})
    assert [one.line for one in sheet.wrong] == [3]
    assert set(sheet.wrong[0].wrong) == wrong
    with pytest.raises(UsageError, match=f"line 3, {'|'.join(wrong)}: "):
        _ = sheet.registrations


def test_what_members_may_send_is_a_column() -> None:
    raw = 'name,role,send\nA,hospital,\nB,hospital,"CT1, MR1"\nC,hospital,NONE\nD,replica,\n'
    assert [one.send for one in read_sheet(raw.encode()).registrations] == [
        "all",
        "CT1,MR1",
        "none",
        "none",
    ]
    (wrong,) = read_sheet(b"name,role,send\nD,replica,all\n").wrong
    assert set(wrong.wrong) == {"send"}


def test_few_mistakes_are_told_in_one_error() -> None:
    sheet = read_sheet(b"name,role\n" + b",king\n" * 100)
    with pytest.raises(UsageError, match="and 180 more") as told:
        _ = sheet.registrations
    assert len(str(told.value)) < 2000


@given(st.binary(max_size=200))
def test_any_bytes_are_a_sheet_or_an_error(raw: bytes) -> None:
    for before in (b"", b"name,role\n"):
        try:
            sheet = read_sheet(before + raw)
        except UsageError:
            continue
        assert sheet.rows


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["hospital", "replica"])), min_size=1))
def test_whatever_can_be_registered_can_be_read_from_a_file(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("name", "role"), *rows])
    sheet = read_sheet(out.getvalue().encode())
    assert len(sheet.rows) == len(rows)
    for (name, role), row in zip(rows, sheet.rows, strict=True):
        assert (row.values["name"], row.values["role"]) == (name.strip(), role)
        assert (row.registration is None) == bool(row.wrong)
        assert set(row.values) == set(FIELDS)
