from collections.abc import Iterable

import trio

from broker.publish.recovery import StudyRecovery
from p2pacs.errors import ManifestError, P2PacsError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.availability import Availability

STUDY = StudyId(bytes(16))
MEMBER = VirtualAddress(b"\xfd" + bytes(15))


class Downloads:
    """Ends each transfer after a time, or never."""

    def __init__(
        self, nursery: trio.Nursery, after: float | None, error: P2PacsError | None = None
    ):
        self.transfers: dict[StudyId, Transfer] = {}
        self.asked: list[VirtualAddress] = []
        self._nursery = nursery
        self._after = after
        self._error = error

    def fetch(self, study: StudyId, *, holders: Iterable[VirtualAddress]) -> Transfer:
        self.asked.extend(holders)
        transfer = self.transfers[study] = Transfer(study, Availability((), b""))
        if self._after is not None:
            self._nursery.start_soon(self._end, transfer, self._after)
        return transfer

    async def _end(self, transfer: Transfer, after: float) -> None:
        await trio.sleep(after)
        transfer.end(self._error)


async def test_what_members_hold_comes_back_and_is_being_fetched_until_then(
    autojump_clock: object,
) -> None:
    async with trio.open_nursery() as nursery:
        downloads = Downloads(nursery, after=10)
        recovery = StudyRecovery(downloads, lambda _study: [MEMBER])
        assert not recovery.is_fetching(STUDY)

        async def look() -> None:
            await trio.sleep(5)
            assert recovery.is_fetching(STUDY)

        nursery.start_soon(look)
        assert await recovery.recover(STUDY)
        assert downloads.asked == [MEMBER]
        assert not recovery.is_fetching(STUDY)


async def test_what_nobody_holds_is_not_fetched(nursery: trio.Nursery) -> None:
    downloads = Downloads(nursery, after=0)
    assert not await StudyRecovery(downloads, lambda _study: []).recover(STUDY)
    assert not downloads.transfers


async def test_what_does_not_come_whole_is_published_anew(nursery: trio.Nursery) -> None:
    downloads = Downloads(nursery, after=0, error=ManifestError("not of this broker"))
    assert not await StudyRecovery(downloads, lambda _study: [MEMBER]).recover(STUDY)


async def test_a_member_that_holds_it_and_gives_nothing_is_not_waited_for_long(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    downloads = Downloads(nursery, after=None)
    assert not await StudyRecovery(downloads, lambda _study: [MEMBER], seconds=60).recover(STUDY)
    assert trio.current_time() < 100
    assert downloads.transfers[STUDY].state is TransferState.FAILED
