import trio
import trio.testing

from broker.handlers.holder_news import GATHER_SECONDS, HolderNews
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import HOLDERS
from p2pacs.wire.messages.messages import HoldersNews, Message

A, B, C = (VirtualAddress(b"\xfd" + bytes(14) + bytes([number])) for number in range(3))
CT, MR = StudyId(b"1" * 16), StudyId(b"2" * 16)

Told = list[tuple[VirtualAddress, Message]]


async def test_what_comes_together_goes_together(
    autojump_clock: trio.testing.MockClock,
) -> None:
    told: Told = []
    holder_news = HolderNews(lambda member, news: told.append((member, news)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder_news.run)
        holder_news.add(A, CT, [B])
        await trio.sleep(GATHER_SECONDS / 2)
        holder_news.add(A, CT, [C, B])
        holder_news.add(A, MR, [C])
        holder_news.add(B, CT, [C])
        assert told == []
        await trio.sleep(GATHER_SECONDS)
        assert told == [
            (A, HoldersNews(CT.raw, [B.raw, C.raw])),
            (A, HoldersNews(MR.raw, [C.raw])),
            (B, HoldersNews(CT.raw, [C.raw])),
        ]
        await trio.sleep(1)
        holder_news.add(A, CT, [B])
        await trio.sleep(1)
        assert told[3:] == [(A, HoldersNews(CT.raw, [B.raw]))]
        nursery.cancel_scope.cancel()


async def test_of_too_many_the_newest_are_named(autojump_clock: trio.testing.MockClock) -> None:
    told: Told = []
    holder_news = HolderNews(lambda member, news: told.append((member, news)))
    many = [VirtualAddress(b"\xfd" + n.to_bytes(15, "big")) for n in range(HOLDERS + 1)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder_news.run)
        holder_news.add(A, CT, many)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert told == [(A, HoldersNews(CT.raw, [one.raw for one in many[1:]]))]
