from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.publish.comparison import (
    TRUSTED,
    beside,
    changed,
    corrected,
    fingerprint,
    gone,
    missing,
    moved,
    study_fingerprint,
    told_otherwise,
)

from .samples import SERIES, described, published, told

TEXTS = st.sampled_from(["A", "7", "Ä^ö"])
UIDS = st.sets(st.sampled_from([f"1.{n}" for n in range(9)]))


@given(listed=UIDS, out=UIDS, arrived=UIDS)
def test_what_is_not_listed_is_gone_and_what_is_not_out_is_missing(
    listed: set[str], out: set[str], arrived: set[str]
) -> None:
    found = described(*listed, count=len(listed))
    assert gone(found, out, arrived) == (out - listed - arrived if listed else set())
    left_out = missing(found, out, duplicates=0, why="why")
    assert set(left_out.uids) == listed - out
    assert left_out.unnamed == 0
    assert left_out.why == ("why" if listed - out else "")


@given(listed=UIDS, out=UIDS, more=st.integers(1, 5))
def test_a_list_that_is_not_whole_takes_nothing_away(
    listed: set[str], out: set[str], more: int
) -> None:
    assert gone(described(*listed, count=len(listed) + more), out, ()) == set()
    assert gone(described(*listed, count=len(listed), untold=more), out, ()) == set()


def test_a_list_without_a_count_is_believed_if_it_is_short() -> None:
    short = [f"1.{n}" for n in range(TRUSTED - 1)]
    assert gone(described(*short), ["1.9999"], ()) == {"1.9999"}
    assert gone(described(*short, "1.5000"), ["1.9999"], ()) == set()


def test_what_is_counted_and_not_listed_is_missing_without_a_name() -> None:
    left_out = missing(described("1.1", "1.2", count=5), ["1.1", "1.2"], duplicates=0, why="")
    assert (left_out.uids, left_out.unnamed) == ((), 3)
    assert left_out.why.startswith("3: ")
    twice = described("1.1", "1.1", "1.2", count=3)
    assert missing(twice, ["1.1", "1.2"], duplicates=0, why="").unnamed == 1
    assert missing(twice, ["1.1", "1.2"], duplicates=2, why="2: double").why == "2: double"


def test_changed_is_what_both_tell_and_tell_differently() -> None:
    out = {"1.1": published("1.1", told(ContentTime="1015", InstanceNumber="007"))}
    same = {tag("InstanceNumber"): entry("IS", 7), **told(ContentTime="1015")}
    other = told(ContentTime="1016")
    silent = told(ContentTime=None, Rows="5")
    assert list(changed({"1.1": same}, out)) == []
    assert list(changed({"1.1": silent}, out)) == []
    assert list(changed({"1.9": other}, out)) == []
    assert list(changed({"1.1": other}, out)) == ["1.1"]
    assert list(changed({"1.1": other}, {"1.1": evolve(out["1.1"], json=b"broken")})) == []


def test_moved_is_what_is_listed_in_other_series_alone() -> None:
    out = {"1.1": published("1.1", series="2.1"), "1.2": published("1.2", series="2.1")}
    listed = described("1.1", "1.2", "1.9", series={"1.1": "2.1", "1.2": "2.2", "1.9": "2.2"})
    assert list(moved(listed, out)) == ["1.2"]
    assert list(moved(described("1.2", series={"1.2": "2.1"}), out)) == []
    in_both = evolve(
        listed,
        series=(*listed.series, *described("1.2", series={"1.2": "2.1"}).series),
    )
    assert list(moved(in_both, out)) == []


def test_beside_are_the_others_of_a_series_that_lost_one() -> None:
    out = {
        **{uid: published(uid, series="2.1") for uid in ("1.1", "1.2", "1.3")},
        "1.4": published("1.4", series="2.2"),
    }
    assert set(beside({"1.1"}, out)) == {"1.2", "1.3"}
    assert set(beside({"1.4", "1.9"}, out)) == set()
    assert set(beside((), out)) == set()


def test_corrected_is_what_no_published_instance_says() -> None:
    out = [published("1.1", told(PatientID="ANNA", StudyID="1")), published("1.2")]
    assert not corrected(described(study=told(PatientID="ANNA", AccessionNumber="A")), out)
    assert not corrected(described(study=told(PatientID=None)), out)
    assert not corrected(described(study=told(StudyID="01", Modality="MR")), out)
    assert not corrected(described(study=told(PatientID="BERTA")), [out[1]])
    assert not corrected(described(study=told(PatientID="BERTA")), [])
    assert corrected(described(study=told(PatientID="BERTA")), out)
    assert corrected(described(study=told(PatientID="ANNA", StudyID="2")), out)
    assert not corrected(described(study=told(PatientID="BERTA")), [evolve(out[0], json=b"broken")])


def test_one_patient_told_and_two_published_is_corrected_and_two_told_is_not() -> None:
    """PS3.3 A.1.2 knows no study of two patients; as long as both are told, it is no correction."""
    anna, berta = (published(uid, told(PatientID=uid)) for uid in ("ANNA", "BERTA"))
    of_anna = told(PatientID="ANNA")
    both = described("1.1", study=of_anna, patients={SERIES: "BERTA"})
    assert corrected(described(study=of_anna), [anna, berta])
    assert not corrected(both, [anna])
    assert not corrected(both, [anna, berta])
    assert corrected(
        evolve(both, attributes=told(PatientID="ANNA", StudyID="2")),
        [published("1.1", told(StudyID="1"))],
    )


NAMES = ["PatientID", "PatientName", "StudyID", "AccessionNumber", "Rows"]
ATTRIBUTES = st.dictionaries(st.sampled_from(NAMES), TEXTS)


@given(ATTRIBUTES)
def test_the_fingerprint_of_a_study_is_that_of_what_is_corrected(values: dict[str, str]) -> None:
    one = described("1.1", study=told(**values))
    with_more = described("1.1", "1.2", study=told(**{**values, "Rows": "9"}), count=2)
    assert study_fingerprint(with_more) == study_fingerprint(one)
    for name in set(NAMES) - {"Rows"}:
        other = evolve(one, attributes=told(**{**values, name: "another"}))
        assert study_fingerprint(other) != study_fingerprint(one)
    several = described("1.1", study=told(**values), patients={SERIES: "another"})
    assert study_fingerprint(several) != study_fingerprint(one)


@given(before=ATTRIBUTES, now=ATTRIBUTES, grown=st.booleans())
def test_another_patient_always_counts_another_study_only_of_the_same_series(
    before: dict[str, str], now: dict[str, str], grown: bool
) -> None:
    one = described("1.1", "1.2", study=told(**before))
    other = described("1.1", study=told(**now), series={"1.1": "2.2"} if grown else None)
    patient = any(before.get(name) != now.get(name) for name in ("PatientID", "PatientName"))
    study = any(
        name in before and name in now and before[name] != now[name]
        for name in ("StudyID", "AccessionNumber")
    )
    assert told_otherwise(one, other) == (patient or (study and not grown))
    several = evolve(one, series=described("1.1", patients={SERIES: "another"}).series)
    assert told_otherwise(one, several)
    assert told_otherwise(several, one)


def test_the_fingerprint_is_that_of_what_is_told() -> None:
    one = described("1.1", "1.2")
    assert fingerprint(one) == fingerprint(described("1.2", "1.1"))
    assert fingerprint(one) != fingerprint(described("1.1"))
    assert fingerprint(one) != fingerprint(described("1.1", "1.2", series={"1.2": "2.2"}))
    at = {"1.2": told(ContentTime="1015")}
    assert fingerprint(one) != fingerprint(described("1.1", "1.2", instances=at))
