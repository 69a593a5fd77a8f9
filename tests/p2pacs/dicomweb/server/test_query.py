from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs import limits
from p2pacs.catalogue.question import Question
from p2pacs.dataset.json_model import checked, entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.errors import UsageError

UID = tag("StudyInstanceUID")


def parse(query: str, level: str = "STUDY", path: dict[str, str] | None = None) -> SearchQuery:
    return SearchQuery.parse(level, path or {}, query.encode())


@pytest.mark.parametrize(
    ("query", "keyword", "held"),
    [
        ("PatientID=a%20b", "PatientID", entry("LO", "a b")),
        ("PatientID=a+b", "PatientID", entry("LO", "a b")),
        ("00100020=x", "PatientID", entry("LO", "x")),
        ("0020000d=1.2", "StudyInstanceUID", entry("UI", "1.2")),
        ("StudyInstanceUID=1.2,1.3", "StudyInstanceUID", entry("UI", "1.2", "1.3")),
        ("StudyInstanceUID=1&StudyInstanceUID=2", "StudyInstanceUID", entry("UI", "1", "2")),
        ("ModalitiesInStudy=CT%5CMR", "ModalitiesInStudy", entry("CS", "CT", "MR")),
        ("ModalitiesInStudy=CT,MR", "ModalitiesInStudy", entry("CS", "CT", "MR")),
        ("PatientName=a%5Eb%3Dc", "PatientName",
         entry("PN", {"Alphabetic": "a^b", "Ideographic": "c"})),
        ("StudyDescription=Head,%20neck", "StudyDescription", entry("LO", "Head, neck")),
        ("StudyDate=20260101-20260131", "StudyDate", entry("DA", "20260101-20260131")),
        ("Rows=512", "Rows", entry("US", 512)),
        ("PatientID=", "PatientID", entry("LO")),
        ("PatientID", "PatientID", entry("LO")),
        ("RequestAttributesSequence=", "RequestAttributesSequence", entry("SQ")),
        (
            "RequestAttributesSequence.RequestedProcedureID=7&00400275.00400009=8",
            "RequestAttributesSequence",
            {"vr": "SQ", "Value": [
                {tag("RequestedProcedureID"): entry("SH", "7"),
                 tag("ScheduledProcedureStepID"): entry("SH", "8")},
            ]},
        ),
    ],
)  # fmt: skip
def test_keys(query: str, keyword: str, held: dict[str, Any]) -> None:
    assert parse(query).keys == {tag(keyword): held}


def test_what_is_asked_for_besides() -> None:
    query = parse("includefield=StudyDescription,00080060&includefield=00400275.00400009&limit=7")
    assert query.fields == {tag("StudyDescription"), tag("Modality"), "00400275"}
    assert (query.everything, query.limit, query.offset) == (False, 7, 0)
    assert parse("includefield=all&offset=3").everything
    assert parse("offset=3").offset == 3
    assert parse("").limit is None


def test_the_path_names_studies() -> None:
    query = parse("Modality=CT", "SERIES", {UID: "1.2"})
    assert query.keys[UID] == entry("UI", "1.2")
    assert query.of_one_study
    assert not parse("Modality=CT", "SERIES").of_one_study
    with pytest.raises(UsageError, match="path names"):
        parse("StudyInstanceUID=1.3", "SERIES", {UID: "1.2"})


def test_what_is_not_done_is_said() -> None:
    asked = parse("fuzzymatching=true&multiplevaluematching=true&PatientName=*Miller*")
    assert (asked.fuzzy, asked.warnings) == (True, ())
    (warning,) = parse("fuzzymatching=true&PatientName=M?ller").warnings
    assert "only literal matching" in warning
    assert not parse("PatientName=M?ller").warnings
    assert not parse("fuzzymatching=false&emptyvaluematching=false").warnings
    assert len(parse("emptyvaluematching=true").warnings) == 1


@pytest.mark.parametrize(
    "query",
    [
        "Nonsense=1", "0010002=1", "00091001=x", "PatientID.PatientName=x", "PatientName=%ff",
        "PatientID=a&PatientID=b", "PatientID=a&00100020=b", "Rows=many", "Rows=1.5", "=x",
        "RequestAttributesSequence=x", "PixelData=x", "limit=1&limit=2", "limit=1e3",
        "RequestAttributesSequence=&RequestAttributesSequence.RequestedProcedureID=1",
        "RequestAttributesSequence.RequestedProcedureID=1&RequestAttributesSequence=",
        "a.b.c.d.e=1", "includefield=Nonsense", "fuzzymatching=2", "PatientID=ü",
        "&".join(f"0010{n:04x}=" for n in range(limits.SEARCH_PARAMETERS + 1)),
    ],
)  # fmt: skip
def test_what_is_not_understood(query: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(query)
    assert len(str(error.value)) < 200


def test_no_value_is_repeated() -> None:
    for query in ("Miller%5EAnna=1", "Miller Anna=x", f"{'9' * 70}=x"):
        with pytest.raises(UsageError) as error:
            parse(query)
        assert not any(value in str(error.value) for value in ("Miller", "99999"))


_NAMES = st.one_of(
    st.sampled_from(
        ["PatientName", "StudyDate", "RequestAttributesSequence", "Rows", "includefield", "limit"]
    ),
    st.text(max_size=12),
    st.from_regex(r"[0-9A-F]{8}(\.[0-9A-F]{8}){0,4}", fullmatch=True),
)


@given(st.lists(st.tuples(_NAMES, st.text(max_size=20)), max_size=6), st.binary(max_size=20))
def test_anything_is_understood_or_refused(pairs: list[tuple[str, str]], more: bytes) -> None:
    encoded = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs).encode()
    for query in (encoded, encoded + b"&" + more):
        try:
            found = SearchQuery.parse("STUDY", {}, query)
            Question.of("STUDY", "STUDY", found.keys)
        except UsageError:
            continue
        checked(found.keys)
