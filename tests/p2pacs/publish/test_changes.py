from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import StudyId
from p2pacs.publish.changes import ANEW, FoundEqual, SourceChanges
from p2pacs.publish.comparison import beside, changed, moved
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry

from .samples import described, published, told

STUDY, OTHER = StudyId(bytes(16)), StudyId(bytes(15) + b"1")
PATIENTS = st.sampled_from(["ANNA", "BERTA", "CLARA"])
UIDS = [f"1.{n}" for n in range(5)]
TIMES = st.sampled_from(["1000", "1100", "1200"])
SERIES = st.sampled_from(["1.1", "1.2"])
LISTS = st.dictionaries(st.sampled_from(UIDS), st.tuples(SERIES, TIMES), min_size=1)


def of(patient: str, *uids: str, **more: str) -> Description:
    return described(*uids, study=told(PatientID=patient, **more))


def listing(found: dict[str, tuple[str, str]], patient: str = "ANNA") -> Description:
    return described(
        *found,
        study=told(PatientID=patient),
        series={uid: series for uid, (series, _) in found.items()},
        instances={uid: told(ContentTime=time) for uid, (_, time) in found.items()},
    )


def out(found: dict[str, tuple[str, str]], patient: str = "ANNA") -> dict[str, InstanceEntry]:
    return {
        uid: published(uid, told(PatientID=patient, ContentTime=time), series=series)
        for uid, (series, time) in found.items()
    }


# ---------------------------------------------------------------- corrected while it is read


@given(st.lists(st.tuples(PATIENTS, st.booleans())))
def test_another_patient_than_before_begins_anew_if_anything_was_read(
    tells: list[tuple[str, bool]],
) -> None:
    changes = SourceChanges(STUDY, FoundEqual())
    begun, before = 0, ""
    for patient, has_read in tells:
        is_other = before not in ("", patient)
        expected = is_other and has_read and begun < ANEW
        assert changes.begins_anew(of(patient), has_read=has_read) == expected
        begun, before = begun + expected, patient
        assert changes.is_corrected == (begun > 0)


def test_what_was_listed_before_it_began_anew_is_forgotten() -> None:
    changes = SourceChanges(STUDY, FoundEqual())
    changes.begins_anew(of("ANNA"), has_read=False)
    changes.note_list(of("ANNA", "1.1"), has_read=False)
    assert changes.listed == of("ANNA", "1.1")
    assert changes.begins_anew(of("BERTA"), has_read=True)
    assert changes.listed is None
    assert changes.replaced({"1.1": published("1.1")}, ()) == set()


# ---------------------------------------------------------------- corrected since it was published


def test_a_correction_stays_one_to_the_end_and_counts_as_agreed_once_all_is_out() -> None:
    found_equal = FoundEqual()
    changes = SourceChanges(STUDY, found_equal)
    former = {"1.1": published("1.1", told(PatientID="ANNA"))}
    assert changes.compare_study(of("BERTA"), former)
    assert changes.compare_study(of("ANNA"), former)
    assert changes.is_corrected
    assert found_equal.studies == {}
    # It broke off: the next publication must find the same again.
    assert SourceChanges(STUDY, found_equal).compare_study(of("BERTA"), former)
    changes.read_in_whole()
    # The source corrected its database and not its files: it is not read for ever.
    assert not SourceChanges(STUDY, found_equal).compare_study(of("BERTA"), former)
    assert SourceChanges(STUDY, found_equal).compare_study(of("CLARA"), former)
    assert SourceChanges(OTHER, found_equal).compare_study(of("BERTA"), former)


def test_of_a_new_study_nothing_is_corrected() -> None:
    changes = SourceChanges(STUDY, found_equal := FoundEqual())
    assert not changes.compare_study(of("ANNA"), {})
    changes.read_in_whole()
    assert found_equal.studies == {}


def test_a_study_that_agreed_is_not_read_through_again() -> None:
    found_equal = FoundEqual()
    same = {"1.1": published("1.1", told(PatientID="ANNA"))}
    other = {"1.1": published("1.1", told(PatientID="BERTA"))}
    assert not SourceChanges(STUDY, found_equal).compare_study(of("ANNA"), same)
    assert not SourceChanges(STUDY, found_equal).compare_study(of("ANNA"), other)
    assert SourceChanges(STUDY, found_equal).compare_study(of("BERTA"), same)
    assert SourceChanges(OTHER, found_equal).compare_study(of("ANNA"), other)


# ---------------------------------------------------------------- instances


@given(
    before=LISTS, now=LISTS, withdrawn=st.sets(st.sampled_from(UIDS)), is_corrected=st.booleans()
)
def test_all_that_is_another_or_may_be_is_read_again(
    before: dict[str, tuple[str, str]],
    now: dict[str, tuple[str, str]],
    withdrawn: set[str],
    is_corrected: bool,
) -> None:
    changes = SourceChanges(STUDY, FoundEqual())
    listed, former = listing(now, "BERTA" if is_corrected else "ANNA"), out(before)
    assert changes.compare_study(listed, former) == is_corrected
    changes.note_list(listed, has_read=False)
    replaced = changes.replaced(former, withdrawn)
    both = before.keys() & now.keys()
    assert {uid for uid in both if before[uid] != now[uid]} <= replaced <= both
    if is_corrected:
        assert replaced == both
    else:
        told_of = {*changed(listed.instances, former), *moved(listed, former)}
        assert replaced == told_of | (set(beside(withdrawn, former)) & now.keys())


@given(before=LISTS, lists=st.lists(st.tuples(LISTS, st.booleans()), min_size=1, max_size=4))
def test_only_a_list_that_stayed_the_same_while_it_was_read_is_taken_for_equal(
    before: dict[str, tuple[str, str]], lists: list[tuple[dict[str, tuple[str, str]], bool]]
) -> None:
    found_equal = FoundEqual()
    changes = SourceChanges(STUDY, found_equal)
    previous: Description | None = None
    is_steady = True
    for found, has_read in lists:
        changes.note_list(listing(found), has_read=has_read)
        is_steady &= not has_read or previous == listing(found)
        previous = listing(found)
    changes.read_what_differed()
    assert (STUDY in found_equal.instances) == is_steady

    again = SourceChanges(STUDY, found_equal)
    again.note_list(listing(lists[-1][0]), has_read=False)
    compared = again.replaced(out(before), ())
    assert compared == (set() if is_steady else _compared(before, lists[-1][0]))


def _compared(before: dict[str, tuple[str, str]], now: dict[str, tuple[str, str]]) -> set[str]:
    return {uid for uid in before.keys() & now.keys() if before[uid] != now[uid]}


def test_who_tells_something_else_than_when_it_was_equal_is_compared() -> None:
    found_equal = FoundEqual()
    first = SourceChanges(STUDY, found_equal)
    first.note_list(listing({"1.1": ("1.1", "1000")}), has_read=False)
    first.read_what_differed()
    former = out({"1.1": ("1.1", "1000")})
    second = SourceChanges(STUDY, found_equal)
    second.note_list(listing({"1.1": ("1.1", "1100")}), has_read=False)
    assert second.replaced(former, ()) == {"1.1"}
    other = SourceChanges(OTHER, found_equal)
    other.note_list(listing({"1.1": ("1.1", "1000")}), has_read=False)
    assert other.replaced(out({"1.1": ("1.1", "1200")}), ()) == {"1.1"}


def test_a_correction_comes_before_what_was_found_equal() -> None:
    """All instances are listed as ever: the study alone is another patient's."""
    found_equal = FoundEqual()
    same: dict[str, tuple[str, str]] = {"1.1": ("1.1", "1000"), "1.2": ("1.1", "1000")}
    first = SourceChanges(STUDY, found_equal)
    first.note_list(listing(same), has_read=False)
    first.read_what_differed()
    second = SourceChanges(STUDY, found_equal)
    assert second.compare_study(listing(same, "BERTA"), out(same))
    second.note_list(listing(same, "BERTA"), has_read=False)
    assert second.replaced(out(same), ()) == {"1.1", "1.2"}


def test_nothing_is_taken_for_equal_before_there_is_a_list() -> None:
    changes = SourceChanges(STUDY, found_equal := FoundEqual())
    changes.read_what_differed()
    assert found_equal.instances == {}
    assert changes.replaced({"1.1": published("1.1")}, ()) == set()


def test_an_instance_that_cannot_be_understood_any_more_is_no_error() -> None:
    one = evolve(published("1.1"), json=b"broken")
    changes = SourceChanges(STUDY, FoundEqual())
    assert not changes.compare_study(of("BERTA"), {"1.1": one})
    changes.note_list(of("BERTA", "1.1"), has_read=False)
    assert changes.replaced({"1.1": one}, ()) == set()
