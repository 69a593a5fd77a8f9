import pytest

from p2pacs.errors import UnavailableError
from p2pacs.ids import StudyId
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.availability import Availability
from peer.pages.search.presence import HeldPart, Presence, StudyPresence, presence_of


async def test_where_a_study_is() -> None:
    fetching, failed, complete = (
        Transfer(StudyId(bytes(16)), Availability((), b"")) for _ in "abc"
    )
    failed.end(UnavailableError("nobody has it"))
    complete.end(None)
    whole, half = HeldPart(10, 10, True, 2), HeldPart(5, 10, False, 2)
    known: list[tuple[int, HeldPart | None, Transfer | None, bool, str]] = [
        (0, None, None, False, "In the central PACS"),
        (1, None, None, False, "In the network"),
        (2, whole, None, False, "Here"),
        (2, whole, complete, False, "Here"),
        (3, whole, complete, False, "Partly here, 100 %"),  # a newer version is to come
        (2, half, None, False, "Partly here, 50 %"),
        (2, half, failed, False, "Stopped, 50 %"),
        (2, half, failed, True, "Paused, 50 %"),
        (2, None, None, True, "Paused"),
        (2, half, fetching, True, "Coming"),
    ]
    for version, held, transfer, paused, words in known:
        assert presence_of(version, held, transfer, paused=paused).words == words


@pytest.mark.parametrize("presence", list(Presence))
def test_only_what_is_not_here_can_be_fetched(presence: Presence) -> None:
    expected = presence not in (Presence.HERE, Presence.COMING)
    assert StudyPresence(presence).can_fetch is expected
