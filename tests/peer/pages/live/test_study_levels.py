from hypothesis import given
from hypothesis import strategies as st

from peer.pages.live.study_levels import StudyLevels
from tests.p2pacs.study import samples
from tests.peer.fake_peer import FakeFetch


def fetch(count: int) -> FakeFetch:
    instances = [samples.instance(number, rows=8, columns=8) for number in range(1, count + 1)]
    return FakeFetch(instances, frames=1)


def told(levels: StudyLevels, of: FakeFetch) -> tuple[str, int, dict[str, str]]:
    levels.look(of.known, of.have)
    said = levels.told()
    return said["levels"], said["here"], said["series"]


def test_images_go_from_nothing_over_a_preview_to_whole() -> None:
    study, levels = fetch(3), StudyLevels()
    study.missing = {1, 2, 3, 1001, 1002, 1003}
    assert told(levels, study) == ("000", 0, {"1": "0 of 3 images here"})
    study.arrive(1002)
    assert told(levels, study) == ("010", 0, {"1": "0 of 3 images here"})
    study.arrive(2, 1001, 1003)
    assert told(levels, study) == ("191", 1, {"1": "1 of 3 images here"})
    study.arrive(1, 3)
    assert told(levels, study) == ("999", 3, {"1": "3 of 3 images here"})
    assert levels.told()["known"] == 3


@given(st.lists(st.sampled_from([1, 2, 3, 4, 1001, 1002, 1003, 1004]), max_size=12))
def test_a_look_now_and_then_tells_what_one_at_the_end_tells(order: list[int]) -> None:
    study, often = fetch(4), StudyLevels()
    study.missing = {1, 2, 3, 4, 1001, 1002, 1003, 1004}
    for chunk in order:
        study.missing.discard(chunk)
        told(often, study)
    assert told(often, study) == told(StudyLevels(), study)
