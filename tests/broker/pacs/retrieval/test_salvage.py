from collections.abc import Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from broker.pacs.retrieval.salvage import SalvageTuning, Taken, salvage
from broker.pacs.retrieval.stream import Put
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import DeadlineError, P2PacsError, PacsRefusedError, PacsUnreachableError
from p2pacs.publish.source import FailedInstance, Retrieved

UIDS = [str(n) for n in range(40)]


class Pacs:
    """Sends in order, and stops a request at the first instance that is lost."""

    def __init__(self, lost: dict[str, P2PacsError], *, silent: bool = False) -> None:
        self.lost = lost
        self.silent = silent
        self.requests: list[int] = []
        self.away = False

    async def ask(self, uids: Sequence[str], put: Put) -> None:
        self.requests.append(len(uids))
        for uid in uids:
            if error := self.lost.get(uid):
                if self.silent:
                    return
                raise error
            await put(EncodedInstance("1", uid, "1.2", b""))

    async def alive(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise PacsUnreachableError("away")


async def salvaged(
    pacs: Pacs, uids: list[str] = UIDS, *, most: int = 100, tuning: SalvageTuning | None = None
) -> tuple[list[str], dict[str | None, P2PacsError]]:
    """What came, in order, and why each of the others did not."""
    got: list[Retrieved] = []

    async def put(item: Retrieved) -> None:
        await trio.lowlevel.checkpoint()
        got.append(item)

    await salvage(
        uids, Taken(put), pacs.ask, pacs.alive, most=most, tuning=tuning or SalvageTuning()
    )
    came = [one.sop_instance_uid for one in got if isinstance(one, EncodedInstance)]
    return came, {one.uid: one.error for one in got if isinstance(one, FailedInstance)}


@pytest.mark.parametrize("silent", [False, True])
async def test_all_but_the_lost_come_in_few_requests(silent: bool) -> None:
    error = PacsRefusedError("its file is lost")
    pacs = Pacs({"0": error, "17": error}, silent=silent)
    came, failed = await salvaged(pacs)
    assert sorted(came + [uid for uid in failed if uid], key=int) == UIDS
    assert set(failed) == {"0", "17"}
    assert silent or set(failed.values()) == {error}
    assert len(pacs.requests) < 20


@given(st.sets(st.sampled_from(UIDS)), st.sampled_from([1, 3, 100]), st.booleans())
def test_each_comes_once_or_is_told(lost: set[str], most: int, silent: bool) -> None:
    pacs = Pacs(dict.fromkeys(lost, PacsRefusedError("lost")), silent=silent)
    came, failed = trio.run(lambda: salvaged(pacs, most=most, tuning=SalvageTuning(hopeless=1000)))
    assert sorted(came, key=int) == [uid for uid in UIDS if uid not in lost]
    assert set(failed) == lost


async def test_a_pacs_that_is_away_is_asked_nothing_more() -> None:
    pacs = Pacs(dict.fromkeys(UIDS, PacsRefusedError("no")))
    pacs.away = True
    with pytest.raises(PacsUnreachableError):
        await salvaged(pacs)
    assert len(pacs.requests) == 1


async def test_a_pacs_that_gives_nothing_is_not_asked_for_all() -> None:
    pacs = Pacs(dict.fromkeys(UIDS, PacsRefusedError("no")))
    came, failed = await salvaged(pacs, most=1, tuning=SalvageTuning(hopeless=5))
    assert came == []
    assert set(failed) == set(UIDS)
    assert len(pacs.requests) == 5


async def test_one_that_hangs_is_left_and_many_end_it() -> None:
    hung = DeadlineError("hung")
    _, failed = await salvaged(Pacs({"3": hung}), most=1)
    assert set(failed) == {"3"}
    with pytest.raises(DeadlineError):
        await salvaged(Pacs(dict.fromkeys(UIDS, hung)), most=1)
