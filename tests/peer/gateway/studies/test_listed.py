from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import StudyId
from peer.gateway.studies.listed import ListedInstances

A, B, C = (StudyId(bytes([number]) * 16) for number in range(3))


def test_in_which_study_an_instance_is() -> None:
    listed = ListedInstances()
    listed.listed(A, ["1.1", "1.2"])
    listed.listed(B, ["2.1"])
    assert listed.studies_of(["1.2"]) == {A}
    assert listed.studies_of(["1.2", "2.1"]) == {A, B}
    assert listed.studies_of(["1.2", "3.1"]) is None, "one of them may be anywhere"
    listed.listed(A, ["1.3"])
    assert listed.studies_of(["1.2"]) is None
    assert listed.studies_of(["1.3"]) == {A}


def test_studies_listed_first_make_room() -> None:
    listed = ListedInstances(most=4)
    listed.listed(A, ["1.1", "1.2"])
    listed.listed(B, ["2.1", "2.2"])
    listed.listed(A, ["1.1", "1.2"])
    listed.listed(C, ["3.1"])
    assert listed.studies_of(["2.1"]) is None
    assert listed.studies_of(["1.1", "3.1"]) == {A, C}
    listed.listed(B, map(str, range(5)))
    assert listed.studies_of(["3.1"]) is None
    assert listed.studies_of(["1"]) is None, "more than there is room for"
    listed.listed(C, ["3.1"])
    assert listed.studies_of(["3.1"]) == {C}


@given(st.dictionaries(st.sampled_from([A, B, C]), st.sets(st.text(max_size=4))))
def test_what_is_listed_is_found(told: dict[StudyId, set[str]]) -> None:
    listed = ListedInstances()
    for study, uids in told.items():
        listed.listed(study, uids)
    for uid in {uid for uids in told.values() for uid in uids}:
        assert listed.studies_of([uid]) == {study for study, uids in told.items() if uid in uids}


def test_of_many_threads() -> None:
    listed = ListedInstances(most=50)

    def list_all() -> None:
        for number in range(200):
            listed.listed(StudyId(bytes([number]) * 16), [f"{number}.{n}" for n in range(10)])
            listed.studies_of([f"{number}.1"])

    threads = [Thread(target=list_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert listed.studies_of(["199.1"]) == {StudyId(bytes([199]) * 16)}
