from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from p2pacs.errors import ForbiddenError
from peer.ingest.intake import Intake
from peer.spool.spool import Spool
from tests.conformance.instances import make


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, reserve=0)) as opened:
        yield opened


def test_whoever_is_named_may_store_and_nobody_else(spool: Spool) -> None:
    intake = Intake(spool, ["CT1"])
    with pytest.raises(ForbiddenError, match=r"sending\.callers"):
        intake.take(make("1.2.1"), "CT2")
    assert not spool.index.list_studies()
    intake.take(make("1.2.1"), "CT1")
    (study,) = spool.index.list_studies()
    assert study.callers == ("CT1",)


def test_where_nobody_is_named_everybody_may(spool: Spool) -> None:
    Intake(spool).take(make("1.2.1"), "ANY")
    assert len(spool.index.list_studies()) == 1
