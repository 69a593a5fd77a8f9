"""A member without its sockets: mesh, engine and services put together.

`p2pacs.swarm.node.Node` adds TLS and listeners; simulations use it on memory streams.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from importlib import metadata
from typing import Final

import structlog
import trio
from attrs import define, field

from p2pacs.errors import (
    DeadlineError,
    LinkClosedError,
    NoSourceError,
    UnavailableError,
    UnknownMessageError,
)
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Directory, Role
from p2pacs.ids import VirtualAddress
from p2pacs.line.line import Line
from p2pacs.mesh.interfaces import Transport
from p2pacs.mesh.mesh import Mesh
from p2pacs.mesh.standby import standby_replicas
from p2pacs.punch.puncher import Puncher
from p2pacs.swarm.engine import Engine
from p2pacs.swarm.scheduling.source import Tier
from p2pacs.swarm.studies.chunks import ChunkStorage
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Hello, Message, Query, Reply

log = structlog.get_logger(__name__)

AGENT: Final = f"p2pacs/{metadata.version('p2pacs')}"
"""What `Hello` says of this program."""

TIERS: Final = {Role.HOSPITAL: Tier.HOSPITAL, Role.REPLICA: Tier.REPLICA, Role.BROKER: Tier.ORIGIN}

QueryHandler = Callable[[VirtualAddress, Query], Awaitable[Reply]]
NewsHandler = Callable[[VirtualAddress, Message], None]
LinkListener = Callable[[VirtualAddress], None]


def both(one: LinkListener, other: LinkListener | None) -> LinkListener:
    """A listener that tells two, in this order."""

    def listener(member: VirtualAddress) -> None:
        one(member)
        if other is not None:
            other(member)

    return listener


@define
class Services:
    """What a program answers beside the swarm: handlers by type of message."""

    queries: dict[type[Query], QueryHandler] = field(factory=dict)
    """A `P2PacsError` that a handler raises becomes a `QueryFailure`."""
    news: dict[type[Message], NewsHandler] = field(factory=dict)
    """Quick and synchronous. The swarm's own messages come here too, after the swarm had them."""
    linked: LinkListener | None = None
    """A member can be reached now."""
    unlinked: LinkListener | None = None
    """It no longer can."""


class Host:
    """One member on any transport."""

    def __init__(
        self,
        *,
        address: VirtualAddress,
        book: DirectoryBook,
        store: ChunkStorage,
        line: Line,
        services: Services,
        transport: Transport,
    ) -> None:
        """Nothing happens before `run`; to be built inside a trio run.

        Args:
            address: This member's.
            book: The member directory.
            store: Where chunks are kept.
            line: What is paced, and how.
            services: What the program answers beside the swarm.
            transport: How members are reached.
        """
        self.address = address
        self._line = line
        self.uplink, self.downlink = line.pacers()
        self.mesh = Mesh(address, book, transport, self)
        self.engine = Engine(
            self.mesh,
            store,
            book.keys,
            self._tier,
            uplink=self.uplink,
            downlink=self.downlink,
        )
        self._book = book
        self.services = services
        """What the program answers."""
        self.puncher: Puncher | None = None
        """Links to members that nobody can dial; None: there is none (simulations)."""
        self.link_listeners: list[LinkListener] = []
        """Told of each member that is linked, before the program (`Services.linked`) is ..."""
        self.unlink_listeners: list[LinkListener] = []
        """... and that no longer is."""
        self.agents: dict[VirtualAddress, str] = {}
        """The program and version that each linked member says it is."""
        self._held: frozenset[VirtualAddress] = frozenset()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take part until cancelled; keeps links to the brokers and to some replicas."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self.mesh.run)
            await nursery.start(self.engine.run)
            if self.uplink is not None:
                nursery.start_soon(self._line.watch, self.uplink)
                nursery.start_soon(self._line.follow_hours, self.uplink)
            self._hold_links(self._book.directory)
            unsubscribe = self._book.subscribe(self._hold_links)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                unsubscribe()

    def _hold_links(self, directory: Directory) -> None:
        """Hold links to brokers and replicas of this directory, no longer to those of the last."""
        brokers = directory.brokers - {self.address}
        before, self._held = self._held, brokers | standby_replicas(directory, self.address)
        for member in sorted(self._held - before, key=lambda one: (one not in brokers, one)):
            self.mesh.held.keep(member)
        for member in sorted(before - self._held):
            self.mesh.held.release(member)

    def _tier(self, member: VirtualAddress) -> Tier:
        record = self._book.directory.get(member)
        return TIERS[record.role] if record else Tier.REPLICA

    # ------------------------------------------------------------ talking

    async def call(
        self,
        member: VirtualAddress,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        """Ask a member, dialling it if needed. A question lost with its link is asked once more.

        Raises:
            P2PacsError: what the member failed with, or why it cannot be reached.
        """
        with trio.move_on_after(timeout) as scope:
            link = await self.mesh.connect(member)
            try:
                return await link.call(query, timeout=scope.deadline - trio.current_time())
            except LinkClosedError:
                link = await self.mesh.connect(member)
                return await link.call(query, timeout=scope.deadline - trio.current_time())
        raise DeadlineError(f"{self.mesh.name(member)} did not answer within {timeout:g} s")

    async def until_broker_linked(self) -> None:
        """Until there is a link to a broker."""
        await self.mesh.until_linked(*self.mesh.brokers)

    async def call_broker(
        self,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        """Ask a broker: one that is linked if there is one, else all in turn until one answers.

        Raises:
            P2PacsError: what the broker failed with, or why none can be reached.
        """
        linked = self.mesh.links.keys()
        brokers = sorted(self.mesh.brokers, key=lambda one: (one not in linked, one))
        if not brokers:
            raise NoSourceError("the member directory names no broker")
        # The deadline of what is asked is this one, too: whichever comes first says the same.
        failure: UnavailableError = DeadlineError(f"the broker did not answer within {timeout:g} s")
        with trio.move_on_after(timeout) as scope:
            for broker in brokers:
                try:
                    left = scope.deadline - trio.current_time()
                    return await self.call(broker, query, timeout=left)
                except UnavailableError as error:
                    failure = error
        raise failure

    def tell(self, member: VirtualAddress, message: Message) -> bool:
        """Send news to a member; whether it is linked."""
        link = self.mesh.links.get(member)
        if link is None:
            return False
        link.send(message)
        return True

    def tell_linked(self, message: Message, roles: Collection[Role]) -> None:
        """Send news to all linked members with one of these roles."""
        for member, link in list(self.mesh.links.items()):
            record = self._book.directory.get(member)
            if record is not None and record.role in roles:
                link.send(message)

    # ------------------------------------------------------------ what the mesh tells

    def hello(self) -> Hello:
        """The first message of a link."""
        version = self._book.directory.version
        return Hello(messages.PROTOCOL, AGENT, version)

    def linked(self, member: VirtualAddress, hello: Hello) -> None:
        """A member is reachable now."""
        self.agents[member] = hello.agent
        if hello.directory_version < self._book.directory.version:
            self.tell(member, messages.DirectoryNews(self._book.raw))
        self.engine.linked(member)
        for listener in self.link_listeners:
            listener(member)
        if self.services.linked is not None:
            self.services.linked(member)

    def unlinked(self, member: VirtualAddress) -> None:
        """It no longer is."""
        self.agents.pop(member, None)
        self.engine.unlinked(member)
        for listener in self.unlink_listeners:
            listener(member)
        if self.services.unlinked is not None:
            self.services.unlinked(member)

    def drained(self, member: VirtualAddress) -> None:
        """The next block may be sent to a member."""
        self.engine.uploads.paced.drained(member)

    def news(self, member: VirtualAddress, message: Message) -> None:
        """A message without answer.

        Raises:
            RemoteError: the member may not say this.
        """
        handler = self.services.news.get(type(message))
        handled = self.engine.news(member, message)
        if isinstance(message, messages.DirectoryNews):
            self._directory_news(message.signed)
        elif handler is not None:
            handler(member, message)
        elif not handled:
            log.info("news ignored", member=self.mesh.name(member), kind=type(message).__name__)

    def _directory_news(self, signed: bytes) -> None:
        """Go by a newer directory; others get it from the broker, or with the next `Hello`.

        Raises:
            DirectoryError: not the broker's, or going back.
        """
        if self._book.update(signed):
            log.info("member directory", version=self._book.directory.version)

    async def query(self, member: VirtualAddress, query: Query) -> Reply:
        """A question.

        Raises:
            P2PacsError: why there is no answer.
        """
        match query:
            case messages.ManifestQuery():
                return await self.engine.swarms.manifest(query)
            case messages.SegmentQuery():
                return await self.engine.swarms.segment(query)
            case messages.DirectoryQuery():
                newer = self._book.directory.version > query.newer_than
                return messages.DirectoryAnswer(query.id, self._book.raw if newer else b"")
        handler = self.services.queries.get(type(query))
        if handler is None:
            raise UnknownMessageError(f"{type(query).__name__} is not answered here")
        return await handler(member, query)
