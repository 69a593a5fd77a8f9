import pytest

from p2pacs.dimse.backend import Retrieval, Urgency
from tests.p2pacs.dimse.samples import series


def test_only_what_is_there_must_be_given() -> None:
    retrieval = Retrieval(total=lambda: 2, instances=iter(series(2)))
    assert retrieval.contexts() == ()
    retrieval.close()
    assert list(retrieval.instances) == series(2)


@pytest.mark.parametrize(
    ("said", "meant"),
    [(0, Urgency.MEDIUM), (1, Urgency.HIGH), (2, Urgency.LOW), (None, Urgency.MEDIUM),
     (7, Urgency.MEDIUM)],
)  # fmt: skip
def test_what_a_request_says_of_its_urgency(said: int | None, meant: Urgency) -> None:
    assert Urgency.of(said) is meant
