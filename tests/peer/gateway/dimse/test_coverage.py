from p2pacs.catalogue.question import Selection
from p2pacs.dimse.backend import MissingInstances
from p2pacs.study.study_index import InstanceEntry, LeftOut
from peer.gateway.dimse.coverage import Coverage

NOTHING = MissingInstances("")


def instance(uid: str, series: str = "1.1") -> InstanceEntry:
    return InstanceEntry("1", uid, series, "1.2", b"", 1, (), b"{}")


def coverage(level: str, *, series: str = "", instances: str = "") -> Coverage:
    made = Coverage(Selection(level, (), ("1",), tuple(series.split()), tuple(instances.split())))
    made.study("1")
    return made


def test_what_was_found_is_covered() -> None:
    found = coverage("IMAGE", series="1.1", instances="1.1.1 1.1.2")
    assert found.is_empty
    found.instance(instance("1.1.1"))
    assert not found.is_empty
    assert found.unknown().uids == ("1.1.2",)
    found.instance(instance("1.1.2"))
    assert found.unknown().count == 0


def test_what_the_pacs_did_not_give_is_known() -> None:
    found = coverage("IMAGE", series="1.1", instances="1.1.1 1.1.2")
    found.missing(MissingInstances("lost", ("1.1.2",)), LeftOut(("1.1.2", "1.1.3")))
    assert not found.is_empty
    assert found.unknown().uids == ("1.1.1",)


def test_a_series_may_be_where_something_was_left_out() -> None:
    found = coverage("SERIES", series="1.1 1.2")
    found.instance(instance("1.1.1"))
    assert found.unknown().count == 1
    found.missing(NOTHING, LeftOut())
    assert found.unknown().count == 1
    found.missing(MissingInstances("lost", (), 1), LeftOut((), 1))
    assert found.unknown().count == 0


def test_a_study_that_is_not_there_counts_as_one() -> None:
    assert Coverage(Selection("STUDY", (), ("1", "2"), (), ())).unknown().count == 2
    assert coverage("STUDY").unknown().count == 0
