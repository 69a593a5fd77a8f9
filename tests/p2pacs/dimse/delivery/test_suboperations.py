import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs import errors
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.errors import (
    DatabaseLockedError,
    DiskFullError,
    ForbiddenError,
    NoSourceError,
    P2PacsError,
    StudyNotFoundError,
)
from p2pacs.limits import DICOM_MESSAGE_BYTES

ROOT = Path(__file__).parents[4]


def test_conversions_are_counted() -> None:
    tally = sub.SubOperationCounts()
    assert tally.converted == ""
    tally.convert("RLELossless", "ImplicitVRLittleEndian")
    for _ in range(2):
        tally.convert("JPEGLosslessSV1", "ImplicitVRLittleEndian")
    assert tally.converted == "converted: JPEGLosslessSV1 to ImplicitVRLittleEndian"
    assert list(tally.conversions.values()) == [2, 1]
    assert sub.comment_of(tally.converted) == tally.converted


@pytest.mark.parametrize(
    ("statuses", "final"),
    [
        ([], 0x0000),
        ([0x0000, 0x0000], 0x0000),
        ([0x0000, 0xA700], 0xB000),
        ([0xB007, 0x0000], 0xB000),
        ([0xB000], 0xB000),
        ([0xA700, 0xC000], 0xA702),
    ],
)
def test_final_status(statuses: list[int], final: int) -> None:
    tally = sub.SubOperationCounts()
    for number, status in enumerate(statuses):
        tally.count(status, str(number))
    assert tally.final_status() == final
    assert tally.done == len(statuses)
    assert len(tally.failed_uids) == tally.failed


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoSourceError("x"), 0xA702),
        (DiskFullError("x"), 0xA702),
        (DatabaseLockedError("x"), 0xA702),  # nothing is wrong with what was asked for
        (ForbiddenError("x"), 0x0124),
        (StudyNotFoundError("x"), 0xA900),
    ],
)
def test_errors_become_statuses(error: P2PacsError, status: int) -> None:
    assert sub.status_of(error) == status


def test_comments_fit_into_their_element_and_are_cut_at_a_word() -> None:
    comment = sub.comment_of(NoSourceError("no s\u00fcch\nthing \\ " + "x" * 100))
    assert comment == "no s?ch thing / ..."
    whole = "PACS: " + "x" * 58
    assert sub.comment_of(whole) == whole
    cut = sub.comment_of(
        "the central PACS cannot be reached: check its address, and whether it runs"
    )
    assert cut == "the central PACS cannot be reached: check its address, and ..."
    assert sub.comment_of("x" * 100) == "x" * 60 + " ..."


@given(st.text(max_size=200))
def test_any_comment_is_a_value_of_its_element(text: str) -> None:
    comment = sub.comment_of(text)
    assert len(comment) <= 64
    assert comment.isascii()
    assert "\\" not in comment
    assert comment == comment.strip()


_ROOMS = (
    *("p2pacs/dimse", "p2pacs/catalogue", "p2pacs/dataset", "p2pacs/study", "p2pacs/store"),
    *("p2pacs/swarm", "p2pacs/mesh", "p2pacs/dicomweb", "p2pacs/archive"),
    *("peer/gateway", "peer/retrieval", "broker/handlers", "broker/publish"),
)
"""Rooms whose errors become Error Comments, here or by way of the broker."""

_LONG = {
    "p2pacs/dataset/bulk_data.py",  # DICOMweb alone says it, as the next two
    "p2pacs/dicomweb/server/query.py",
    "peer/gateway/web/dicomweb.py",
    "p2pacs/dimse/client/statuses.py",  # as the next
    "p2pacs/dimse/client/scu.py",  # the broker's client: names both ends, which no comment can hold
    "peer/retrieval/sources/grants.py",  # what is the case fits, and the command line says more
    "peer/retrieval/sources/resolve.py",  # `p2pacs get` says it: a C-MOVE names what is listed
}


def _messages() -> Iterator[tuple[str, str]]:
    """Where in the rooms which text is given to an error, as if values had eight characters."""
    kinds = {name for name, kind in vars(errors).items() if _is_error(kind)}
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            where = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=[text, *_]) if name in kinds:
                        yield where, _as_said(text)


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, P2PacsError)


def _as_said(text: ast.expr) -> str:
    match text:
        case ast.Constant(value=str(said)):
            return said
        case ast.JoinedStr(values=parts):
            return "".join(_as_said(part) for part in parts)
    return "8" * 8


def test_what_errors_say_fits_into_a_comment() -> None:
    messages = list(_messages())
    assert len(messages) > 200
    long = {where for where, said in messages if len(said) > sub.COMMENT_CHARACTERS}
    assert long == _LONG


def test_the_list_of_failed_instances_holds_what_its_element_can() -> None:
    uids = [f"1.2.3.{number}" for number in range(40)]
    assert sub.failed_list([*uids, *uids], implicit=False) == uids
    many = [f"{number:064}" for number in range(20_000)]
    assert sub.failed_list(many, implicit=False) == many[: 65534 // 65]
    assert len(sub.failed_list(many, implicit=True)) == DICOM_MESSAGE_BYTES // 65


def test_counts_fit_into_two_bytes() -> None:
    assert (sub.us(70_000), sub.us(-1), sub.us(7)) == (65535, 0, 7)


def test_uids_of_failed_instances_are_not_in_the_repr() -> None:
    tally = sub.SubOperationCounts()
    tally.fail("not accepted", "1.2.3")
    assert "1.2.3" not in repr(tally)
    assert "1.2.3" not in tally.why


def test_reasons_are_counted_and_the_most_frequent_comes_first() -> None:
    tally = sub.SubOperationCounts()
    tally.fail("cannot be read", "1.1")
    tally.fail("not accepted", "1.2")
    tally.fail("not accepted", unnamed=1)
    tally.count(0xA700, "1.3")
    assert list(tally.reasons.items()) == [
        ("not accepted", 2),
        ("cannot be read", 1),
        ("the destination answers C-STORE with 0xA700", 1),
    ]
    assert tally.why.startswith("not accepted (2); cannot be read (1); ")
    assert (tally.failed, tally.failed_uids) == (4, ["1.1", "1.2", "1.3"])
    assert tally.final_status() == 0xA702
