from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import Json, dump, entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.publish.comparison import TRUSTED, changed, fingerprint, gone, missing
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry

UIDS = st.sets(st.sampled_from([f"1.{n}" for n in range(9)]))


def described(*uids: str, count: int | None = None, untold: int = 0) -> Description:
    attributes: Json = {}
    if count is not None:
        attributes = {tag("NumberOfSeriesRelatedInstances"): entry("IS", str(count))}
    instances = tuple({tag("SOPInstanceUID"): entry("UI", uid)} for uid in uids)
    return Description("1", {}, (SeriesRecord("1.1", attributes, instances),), untold)


def published(uid: str, **values: Json) -> InstanceEntry:
    return InstanceEntry("1", uid, "1.1", "1.2", b"", 1, (), dump({**values}))


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


def told(uid: str, **values: dict[str, object]) -> dict[str, Json]:
    return {uid: values}


def test_changed_is_what_both_tell_and_tell_differently() -> None:
    time, place = tag("ContentTime"), tag("InstanceNumber")
    out = {"1.1": published("1.1", **{time: entry("TM", "1015"), place: entry("IS", "007")})}
    same = told("1.1", **{time: entry("TM", "1015"), place: entry("IS", 7)})
    other = told("1.1", **{time: entry("TM", "1016")})
    silent = told("1.1", **{time: entry("TM"), tag("Rows"): entry("US", 5)})
    assert list(changed(same, out)) == []
    assert list(changed(silent, out)) == []
    assert list(changed(told("1.9", **other["1.1"]), out)) == []
    assert list(changed(other, out)) == ["1.1"]
    assert list(changed(other, {"1.1": evolve(out["1.1"], json=b"broken")})) == []


def test_the_fingerprint_is_that_of_what_is_told() -> None:
    one = described("1.1", "1.2")
    assert fingerprint(one) == fingerprint(described("1.2", "1.1"))
    assert fingerprint(one) != fingerprint(described("1.1"))
