import json

from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.server.fields import answer, asked
from p2pacs.dicomweb.server.query import SearchQuery

ROOT = "http://localhost:8042/dicom-web"


def told(view: dict[str, object], level: str = "STUDY", query: str = "", **path: str) -> object:
    of = {tag(name): uid for name, uid in path.items()}
    parsed = SearchQuery.parse(level, of, query.encode())
    return answer(view, parsed, asked(parsed), ROOT)  # type: ignore[arg-type]


VIEW: dict[str, object] = {
    tag("StudyInstanceUID"): entry("UI", "1.2"),
    tag("SeriesInstanceUID"): entry("UI", "1.2.3"),
    tag("StudyDescription"): entry("LO", "Head"),
    tag("PatientID"): entry("LO", "7"),
    tag("SeriesNumber"): entry("IS", "007"),
    tag("SliceThickness"): entry("DS", "-1.50", "much", None, "NaN", "1e400"),
}


def test_a_study_says_what_the_standard_wants() -> None:
    found = told(VIEW)
    assert isinstance(found, dict)
    assert found[tag("RetrieveURL")] == entry("UR", f"{ROOT}/studies/1.2")
    assert found[tag("PatientName")] == entry("PN")
    assert tag("StudyDescription") not in found
    assert tag("SeriesInstanceUID") not in found
    assert list(found) == sorted(found)


def test_what_is_asked_for_comes() -> None:
    for query in ("includefield=StudyDescription", "StudyDescription=H*", "StudyDescription="):
        found = told(VIEW, query=query)
        assert isinstance(found, dict)
        assert found[tag("StudyDescription")] == entry("LO", "Head")
    everything = told(VIEW, query="includefield=all")
    assert isinstance(everything, dict)
    assert VIEW.keys() <= everything.keys()


def test_a_series_of_a_named_study_does_not_repeat_it() -> None:
    named = told(VIEW, "SERIES", StudyInstanceUID="1.2")
    anywhere = told(VIEW, "SERIES")
    assert isinstance(named, dict)
    assert isinstance(anywhere, dict)
    assert tag("PatientID") not in named
    assert anywhere[tag("PatientID")] == entry("LO", "7")
    assert named[tag("RetrieveURL")] == entry("UR", f"{ROOT}/studies/1.2/series/1.2.3")


def test_numbers_are_numbers() -> None:
    found = told(VIEW, "SERIES", "includefield=SliceThickness")
    assert isinstance(found, dict)
    assert found[tag("SeriesNumber")] == entry("IS", 7)
    thickness = found[tag("SliceThickness")]["Value"]
    assert thickness == [-1.5, "much", None, "NaN", "1e400"]
    json.dumps(found, allow_nan=False)
