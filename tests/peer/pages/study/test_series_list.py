from attrs import evolve

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from peer.pages.study.series_list import images_of, shown_series
from peer.retrieval.instances.live_index import Known
from tests.p2pacs.study import samples
from tests.peer.fake_peer import FakeFetch


def known(count: int, frames: int = 1) -> list[Known]:
    instances = [samples.instance(number, rows=8, columns=8) for number in range(1, count + 1)]
    return FakeFetch(instances, frames=frames).known


def record(uid: str, **told: tuple[str, str]) -> SeriesRecord:
    return SeriesRecord(uid, {tag(name): entry(vr, value) for name, (vr, value) in told.items()})


def test_images_are_in_order_and_frames_count() -> None:
    two = [evolve(one, place=5 - one.number) for one in known(2, frames=3)]
    assert images_of(two) == ["1:1", "1:2", "1:3", "2:1", "2:2", "2:3"]
    assert images_of([evolve(two[0], withdrawn=True)]) == []


def test_an_image_without_previews_is_one_all_the_same() -> None:
    (one,) = known(1, frames=0)
    assert images_of([one]) == []
    rows = evolve(one.entry, json=b'{"00280010":{"vr":"US","Value":[8]}}')
    assert images_of([evolve(one, entry=rows)]) == ["1:1"]


def test_pictures_are_spread_evenly_over_a_series() -> None:
    (series,) = shown_series((), known(100), "1" * 50 + "9" * 50, {"1": "50 of 100"})
    assert [one.number for one in series.pictures] == [9, 26, 42, 59, 76, 92]
    assert [one.level for one in series.pictures] == ["1", "1", "1", "9", "9", "9"]
    assert (series.here, series.place) == ("50 of 100", 1)


def test_what_only_the_catalogue_tells_comes_last_until_all_is_known() -> None:
    records = [
        record("1.2.3", SeriesDescription=("LO", "Axial"), SeriesNumber=("IS", "4")),
        record("9.9", Modality=("CS", "MR"), NumberOfSeriesRelatedInstances=("IS", "12")),
    ]
    first, second = shown_series(records, known(2), "", {})
    assert first.title == "Series 4: Axial"
    assert (second.title, second.words, second.place) == ("Series", "MR, 12 images", 0)
    assert len(shown_series(records, known(2), "", {}, settled=True)) == 1
