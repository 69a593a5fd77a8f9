from pathlib import Path

from broker.handlers.members_now import MembersNow
from broker.handlers.tracker import HolderTracker
from broker.members.holding import Holding
from p2pacs.ids import StudyId
from p2pacs.store import open_store
from tests.broker.handlers.test_tracker import A, B, news


async def test_what_members_say_that_they_are_and_hold(tmp_path: Path) -> None:
    holders = HolderTracker()
    studies = [StudyId(bytes(15) + bytes([number])) for number in range(5)]
    for number, study in enumerate(studies):
        holders.announce(A, news(study=study, complete=number % 2 == 0))
    async with open_store(tmp_path / "store") as store:
        known = MembersNow(holders, store, {A: "p2pacs/1"}, step=2)
        assert (known.program(A), known.program(B)) == ("p2pacs/1", "")
        assert known.studies(A, 1, 2) == [(studies[3], False), (studies[2], True)]
        assert known.studies(B, 0, 2) == []
        assert await known.holding(A) == Holding(studies=5, whole=3, bytes=0, unsized=5)
        assert await known.holding(B) == Holding()
