from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from broker.pacs.retrieval.plan import BATCH, RetrieveRequest, plan
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from tests.broker.pacs.samples import described


def test_all_of_a_study_is_one_request() -> None:
    study = described(a=2, b=1)
    assert list(plan(study, set(study.instances))) == [RetrieveRequest()]


def test_whole_series_and_single_instances() -> None:
    study = described(a=2, b=3, c=1)
    assert list(plan(study, {"1.a.0", "1.a.1", "1.b.2"})) == [
        RetrieveRequest("1.a"),
        RetrieveRequest("1.b", ("1.b.2",)),
    ]


def test_long_lists_are_split() -> None:
    study = described(a=2 * BATCH + 2)
    parts = list(plan(study, set(study.instances) - {"1.a.0"}))
    assert [len(part.instances) for part in parts] == [BATCH, BATCH, 1]


@given(st.sets(st.sampled_from([f"1.{s}.{n}" for s in "abc" for n in range(3)])))
def test_a_plan_brings_what_is_wanted_and_nothing_else(wanted: set[str]) -> None:
    study = described(a=3, b=3, c=3)
    brought: list[str] = []
    for part in plan(study, wanted):
        held = [uid for uid in study.instances if part.series is None or part.series in uid]
        brought.extend(part.instances or held)
    assert sorted(brought) == sorted(wanted)


def test_a_study_of_two_patients_is_asked_for_by_series() -> None:
    study = described(a=2, b=1)
    other = evolve(study.series[1], attributes={tag("PatientID"): entry("LO", "PB")})
    study = evolve(study, series=(study.series[0], other))
    by_series = [RetrieveRequest("1.a"), RetrieveRequest("1.b")]
    assert list(plan(study, None)) == by_series
    assert list(plan(study, study.instances)) == by_series
    listed = evolve(study, series=tuple(evolve(one, instances=()) for one in study.series))
    assert list(plan(listed, None)) == by_series
