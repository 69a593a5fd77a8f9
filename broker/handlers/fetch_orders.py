"""Members are told to fetch what is addressed to them, and when they shall not any more: until they
have noted it, however long they are away."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import structlog
import trio
from attrs import frozen

from broker.database.db import BrokerDatabase
from broker.database.recipients import (
    DueEnd,
    DueOrder,
    list_due,
    list_ends,
    note_end,
    note_told,
)
from broker.ingest.forwarding import AskMember
from p2pacs.concurrency.signals import Bell
from p2pacs.errors import P2PacsError, ProtocolError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services, both
from p2pacs.wire.messages import messages

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 20.0
"""For a member to note an order."""


@frozen
class FetchOrderTuning:
    """How members are told."""

    retry_seconds: float = 60.0
    """After a linked member did not note an order; one that is not linked hears when it is."""


class FetchOrders:
    """Tells recipients of studies. `run` must be running."""

    def __init__(
        self,
        database: BrokerDatabase,
        ask: AskMember,
        is_linked: Callable[[VirtualAddress], bool],
        *,
        me: VirtualAddress,
        tuning: FetchOrderTuning = FetchOrderTuning(),
    ) -> None:
        """Nobody is told before `run`.

        Args:
            database: says who is to be told of what.
            ask: asks a member.
            is_linked: whether a member can be asked now.
            me: this broker, in whose name administrators address studies.
            tuning: how members are told.
        """
        self._database = database
        self._ask = ask
        self._is_linked = is_linked
        self._me = me
        self.tuning = tuning
        self._studies: set[StudyId] = set()
        self._members: set[VirtualAddress] = set()
        self._everybody = False
        self._bell = Bell()
        self._waiting: dict[VirtualAddress, dict[StudyId, DueOrder | DueEnd]] = {}
        """Of the members that are being told."""

    def enter(self, services: Services) -> None:
        """Hear of links, before those who do already."""
        services.linked = both(self.linked, services.linked)

    def out(self, study: StudyId) -> None:
        """A version of a study is out, or it is addressed to others than before."""
        self._studies.add(study)
        self._bell.ring()

    def look(self) -> None:
        """Studies may be addressed to others than before: somebody else says so in the database."""
        self._everybody = True
        self._bell.ring()

    def linked(self, member: VirtualAddress) -> None:
        """A member can be told something."""
        self._members.add(member)
        self._bell.ring()

    async def run(self) -> None:
        """Tell until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._bell.wait()
                studies, self._studies = self._studies, set()
                members, self._members = self._members, set()
                everybody, self._everybody = self._everybody, False
                due = await self._due() if everybody else []
                due += [one for study in studies for one in await self._due(study=study)]
                due += [one for member in members for one in await self._due(member=member)]
                for order in due:
                    if order.member in self._waiting:
                        self._waiting[order.member][order.study] = order
                    elif self._is_linked(order.member):
                        self._waiting[order.member] = {order.study: order}
                        nursery.start_soon(self._tell, order.member)

    async def _due(
        self, *, study: StudyId | None = None, member: VirtualAddress | None = None
    ) -> list[DueOrder | DueEnd]:
        return await self._database.persist(
            lambda c: [
                *list_ends(c, study=study, member=member),
                *list_due(c, study=study, member=member),
            ]
        )

    async def _tell(self, member: VirtualAddress) -> None:
        waiting = self._waiting[member]
        try:
            while waiting:
                order = max(waiting.values(), key=_urgency)  # the first of these
                del waiting[order.study]
                if isinstance(order, DueEnd):
                    await self._end(order)
                else:
                    await self._order(order)
        except P2PacsError as error:
            log.info("a member is not told yet", member=str(member), why=str(error))
            del self._waiting[member]
            await trio.sleep(self.tuning.retry_seconds)
            if self._is_linked(member):
                self.linked(member)
        else:
            del self._waiting[member]

    async def _order(self, order: DueOrder) -> None:
        query = messages.FetchOrder(
            0,
            order.study.raw,
            order.version,
            int(order.priority),
            (order.sender or self._me).raw,
            order.addressed,
        )
        reply = await self._ask(order.member, query, timeout=ANSWER_SECONDS)
        if not isinstance(reply, messages.FetchOrderKept):
            raise ProtocolError("a member answered a FetchOrder with something else")
        await self._database.run(lambda c: note_told(c, order))
        log.info("fetch ordered", study=order.study.short, member=str(order.member))

    async def _end(self, end: DueEnd) -> None:
        query = messages.FetchEnd(0, end.study.raw, end.is_cancelled)
        reply = await self._ask(end.member, query, timeout=ANSWER_SECONDS)
        if not isinstance(reply, messages.FetchEndKept):
            raise ProtocolError("a member answered a FetchEnd with something else")
        await self._database.run(lambda c: note_end(c, end))
        log.info("fetch ended", study=end.study.short, member=str(end.member))


def _urgency(one: DueOrder | DueEnd) -> float:
    """What shall not be fetched is said before all else: it would take the line."""
    return math.inf if isinstance(one, DueEnd) else one.priority
