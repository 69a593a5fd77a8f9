from pathlib import Path

from broker.handlers.members_now import MembersNow
from broker.handlers.tracker import HolderTracker
from broker.members.holding import Holding, LastTold
from p2pacs.ids import StudyId
from p2pacs.store import open_store
from p2pacs.swarm.host import Services
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


async def test_what_a_member_said_last_is_kept_with_its_time(tmp_path: Path) -> None:
    holders, agents, heard = HolderTracker(), {A: "p2pacs/1"}, list[str]()
    services = Services(linked=lambda _: heard.append("linked"), unlinked=holders.gone)
    async with open_store(tmp_path / "store") as store:
        known = MembersNow(holders, store, agents, clock=iter((1000, 5000)).__next__)
        known.enter(services)
        assert services.linked is not None
        assert services.unlinked is not None
        assert known.last(A) is None
        services.linked(A)
        holders.announce(A, news(study=StudyId(bytes(16)), complete=True))
        agents.clear()  # the host forgets a member's program before it tells of the end
        services.unlinked(A)
        assert known.last(A) == LastTold(5000, "p2pacs/1", 1)
        assert (heard, len(holders.held_by(A))) == (["linked"], 0)
