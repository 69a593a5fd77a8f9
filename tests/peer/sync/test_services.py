"""What is heard of whom: parts that only remember that they were told."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from attrs import define, field

from p2pacs.errors import ProtocolError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages import messages
from peer.retrieval.sent_here import SentHere
from peer.sync.services import PeerServices

BROKER, MEMBER = (VirtualAddress(b"\xfd" + bytes(14) + one) for one in (b"b", b"m"))
STUDY = StudyId(bytes(16))


@define(slots=False)
class Told:
    """A part that remembers."""

    calls: list[tuple[Any, ...]] = field(factory=list)

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.calls.append((name, *given))


@define
class Peer:
    blind: bool = False
    services: Services = field(factory=Services)
    parts: dict[str, Told] = field(factory=dict)
    transfer: Told = field(factory=Told)

    def __attrs_post_init__(self) -> None:
        heard = ("catalogue", "holdings", "audit", "pending", "replica", "outgoing")
        names = (*heard, "sent_here", "reads")
        self.parts = {name: Told() for name in names}
        book: Any = SimpleNamespace(directory=SimpleNamespace(brokers={BROKER}))
        parts: Any = self.parts
        recycler: Any = Told()
        transfers: Any = {STUDY: self.transfer}
        PeerServices(book, recycler, transfers, **parts, blind=lambda: self.blind).enter(
            self.services
        )

    def tell(self, member: VirtualAddress, news: messages.Message) -> None:
        self.services.news[type(news)](member, news)

    @property
    def woken(self) -> set[str]:
        return {name for name, part in self.parts.items() if part.calls}


NEWS = [
    messages.CatalogueNews(1),
    messages.HoldersNews(STUDY.raw, [MEMBER.raw]),
    messages.Replicate(STUDY.raw),
]


@pytest.mark.parametrize("news", NEWS, ids=lambda one: type(one).__name__)
def test_only_a_broker_may_say_this(news: messages.Message) -> None:
    peer = Peer(blind=True)
    with pytest.raises(ProtocolError, match="only a broker"):
        peer.tell(MEMBER, news)
    assert not peer.woken
    assert not peer.transfer.calls


def test_news_reach_the_part_that_they_concern() -> None:
    peer = Peer()
    peer.tell(BROKER, NEWS[0])
    assert peer.parts["catalogue"].calls == [("wake",)]
    assert peer.woken == {"catalogue"}
    peer.tell(BROKER, NEWS[1])
    ((name, holders),) = peer.transfer.calls
    assert (name, list(holders)) == ("add_holders", [MEMBER])
    peer.tell(BROKER, messages.HoldersNews(bytes(15) + b"x", [MEMBER.raw]))  # fetched no more
    assert len(peer.transfer.calls) == 1


@pytest.mark.parametrize("blind", [True, False])
def test_a_replica_alone_takes_orders(blind: bool) -> None:
    peer = Peer(blind=blind)
    peer.tell(BROKER, NEWS[2])
    assert peer.parts["replica"].calls == ([("order", STUDY)] if blind else [])


def test_when_a_broker_is_linked_what_waited_for_it_goes_on() -> None:
    peer = Peer()
    peer.services.linked(MEMBER)
    assert not peer.woken
    peer.services.linked(BROKER)
    assert peer.woken == peer.parts.keys() - {"sent_here", "reads"}


async def test_an_order_is_taken_from_a_broker_and_by_who_reads() -> None:
    order = messages.FetchOrder(7, STUDY.raw, 3, int(Priority.STAT), MEMBER.raw, 1_000)
    peer = Peer()
    with pytest.raises(ProtocolError, match="only a broker"):
        await peer.services.queries[messages.FetchOrder](MEMBER, order)
    with pytest.raises(ProtocolError, match="not a FetchOrder"):
        await peer.services.queries[messages.FetchOrder](BROKER, messages.CatalogueQuery(1, 0))
    with pytest.raises(ProtocolError, match="reads nothing"):
        await Peer(blind=True).services.queries[messages.FetchOrder](BROKER, order)
    assert not peer.woken
    orders: list[Any] = []

    async def note(*order: Any) -> None:
        await trio.lowlevel.checkpoint()
        orders.append(order)

    pending: Any = peer.parts["pending"]
    pending.order = note
    sent_here: Any = peer.parts["sent_here"]
    sent_here.note = note
    reply = await peer.services.queries[messages.FetchOrder](BROKER, order)
    assert reply == messages.FetchOrderKept(7)
    from_whom = SentHere(STUDY, MEMBER, Priority.STAT, 1_000)
    assert orders == [(from_whom,), (STUDY, 3, Priority.STAT)]


async def test_an_order_ends_when_a_broker_says_so() -> None:
    peer, end = Peer(), messages.FetchEnd(7, STUDY.raw, True)
    answer = peer.services.queries[messages.FetchEnd]
    with pytest.raises(ProtocolError, match="only a broker"):
        await answer(MEMBER, end)
    with pytest.raises(ProtocolError, match="not a FetchEnd"):
        await answer(BROKER, messages.CatalogueQuery(1, 0))
    ended: list[tuple[StudyId, bool]] = []

    async def note(study: StudyId, *, cancelled: bool) -> None:
        await trio.lowlevel.checkpoint()
        ended.append((study, cancelled))

    pending: Any = peer.parts["pending"]
    reads: Any = peer.parts["reads"]
    pending.end = note
    sent_here: Any = peer.parts["sent_here"]
    sent_here.ended = partial(note, cancelled=True)
    reads.end_order = lambda study, cancelled: ended.append((study, cancelled))
    assert await answer(BROKER, end) == messages.FetchEndKept(7)
    assert ended == 3 * [(STUDY, True)], "first on the disk, then here"


async def test_a_proof_is_given_for_its_question_alone() -> None:
    peer = Peer()
    with pytest.raises(ProtocolError):
        await peer.services.queries[messages.PossessionQuery](MEMBER, messages.CatalogueQuery(1, 0))
