import pytest

from p2pacs.dimse.backend import Ending, MissingInstances, Retrieval, Urgency
from tests.p2pacs.dimse.samples import series


def test_only_what_is_there_must_be_given() -> None:
    retrieval = Retrieval(total=lambda: 2, instances=iter(series(2)))
    assert retrieval.contexts() == ()
    retrieval.arrived()
    retrieval.close(Ending.OVER)
    assert list(retrieval.instances) == series(2)


@pytest.mark.parametrize(
    ("said", "meant"),
    [(0, Urgency.MEDIUM), (1, Urgency.HIGH), (2, Urgency.LOW), (None, Urgency.MEDIUM),
     (7, Urgency.MEDIUM)],
)  # fmt: skip
def test_what_a_request_says_of_its_urgency(said: int | None, meant: Urgency) -> None:
    assert Urgency.of(said) is meant


def test_missing_instances_are_counted_and_their_uids_not_shown() -> None:
    missing = MissingInstances("cannot be read", ("1.2.3", "1.2.4"), unnamed=3)
    assert missing.count == 5
    assert "1.2.3" not in repr(missing)
