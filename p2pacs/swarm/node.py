"""A member of the network as one object: what broker and peer build on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog
import trio

from p2pacs.admission import Admission
from p2pacs.errors import AccessError, BusyError, P2PacsError, StateError, UsageError
from p2pacs.identity import tls
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Directory, MemberRecord, Remote, Role
from p2pacs.identity.keys import Verifier
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.line.line import Line
from p2pacs.mesh.dialling import TlsTransport
from p2pacs.mesh.interfaces import Channel
from p2pacs.sparse_log import Sparse
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.host import Host, Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.swarm.studies.chunks import ChunkStorage
from p2pacs.units import Endpoint
from p2pacs.wire import channel
from p2pacs.wire.enrol import EnrolHandler, serve_enrolment
from p2pacs.wire.messages import Message, Query, Reply

__all__ = ["Line", "Node", "Services"]

log = structlog.get_logger(__name__)

TELL_EVERY: Final = 60.0
"""Seconds between two lines of the log that tell how many strangers were turned away: a flood of
them must not become a flood of lines."""


class Node:
    """This member: its listeners, links, uploads and transfers."""

    def __init__(  # noqa: PLR0917 (the seven parts of a node)
        self,
        identity: NodeIdentity,
        book: DirectoryBook,
        store: ChunkStorage,
        line: Line,
        services: Services,
        listen: Sequence[Endpoint],
        enrol: EnrolHandler | None = None,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            identity: Who this member is. A renewed certificate in its folder is used for every
                channel from then on.
            book: The member directory.
            store: Where chunks are kept.
            line: What is paced, and how.
            services: What the program answers beside the swarm.
            listen: Where others may connect; may be empty.
            enrol: Admits newcomers; the broker's alone.
        """
        self.identity = identity
        self._book = book
        self._store = store
        self._line = line
        self._services = services
        self._listen = listen
        self._enrol = enrol
        self._host: Host | None = None
        self._transport: TlsTransport | None = None
        self._admission = Admission()
        self._told = Sparse()

    async def run(
        self, *, task_status: trio.TaskStatus[list[Endpoint]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Take part in the network until cancelled; reports where it listens once it does.

        Raises:
            StateError: an address to listen on is not free or not this machine's.
        """
        transport = TlsTransport(self.identity, self._book, self._line, self._listen)
        host = Host(
            address=self.identity.address,
            book=self._book,
            store=self._store,
            line=self._line,
            services=self._services,
            transport=transport,
        )
        transport.pace(host.uplink, host.downlink)
        self._transport = transport
        listeners = [one for endpoint in self._listen for one in await _open(endpoint)]
        self._list_hosts(self._book.directory)
        unsubscribe = self._book.subscribe(self._list_hosts)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.run)
                nursery.start_soon(self._tell_turned_away)
                await nursery.start(host.run)
                self._host = host
                if listeners:
                    nursery.start_soon(trio.serve_listeners, self._accept, listeners)
                task_status.started([_bound(listener) for listener in listeners])
        finally:
            self._host = None
            unsubscribe()
            transport.close()

    # ------------------------------------------------------------ talking

    async def call(
        self,
        member: VirtualAddress,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        """Ask a member, over the link or dialling it; the query's id is filled in.

        Raises:
            P2PacsError: what the member failed with, or why it cannot be reached.
        """
        return await self._running.call(member, query, timeout=timeout)

    def tell(self, member: VirtualAddress, message: Message) -> bool:
        """Send news to a member; whether it is linked."""
        return self._host is not None and self._host.tell(member, message)

    def tell_linked(self, message: Message, roles: Collection[Role]) -> None:
        """Send news to all linked members with one of these roles."""
        if self._host is not None:
            self._host.tell_linked(message, roles)

    @property
    def linked(self) -> Collection[VirtualAddress]:
        """Members with whom there is a link now."""
        return self._host.mesh.links.keys() if self._host else ()

    def refusal(self, member: VirtualAddress) -> AccessError | None:
        """Why there must be no link with a member, if that is why there is none."""
        return self._host.mesh.refused.get(member) if self._host else None

    async def call_broker(
        self,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        """Ask a broker, one that is linked if there is one; the query's id is filled in.

        Raises:
            P2PacsError: what the broker failed with, or why none can be reached.
        """
        return await self._running.call_broker(query, timeout=timeout)

    @property
    def broker_keys(self) -> Verifier:
        """What verifies manifests: the keys of all brokers."""
        return self._book.keys

    @property
    def broker_linked(self) -> bool:
        """Whether there is a link to a broker now."""
        return not self._book.directory.brokers.isdisjoint(self.linked)

    async def until_broker_linked(self) -> None:
        """Until there is.

        Raises:
            StateError: the node is not running.
        """
        await self._running.mesh.until_linked(*self._book.directory.brokers)

    # ------------------------------------------------------------ studies

    def fetch(
        self,
        study: StudyId,
        *,
        holders: Sequence[VirtualAddress],
        root: bytes | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Transfer:
        """Fetch a study, or go on with the transfer of it that there is.

        Args:
            study: Which.
            holders: Members that hold or fetch it; the broker is always asked too.
            root: A signed manifest root, if there is one.
            priority: How urgent; a transfer under way takes the higher one.

        Raises:
            ManifestError: the root is not the broker's.
            StateError: the node is not running.
        """
        return self._running.engine.fetch(study, holders, root, priority)

    async def updated(self, study: StudyId) -> None:
        """The publisher put chunks and a newer root into the store: tell who joined."""
        await self._running.engine.updated(study)

    def dropped(self, study: StudyId) -> None:
        """The study was (or is about to be) dropped from the store: tell who joined."""
        if self._host is not None:
            self._host.engine.dropped(study)

    @property
    def transfers(self) -> Mapping[StudyId, Transfer]:
        """Transfers under way, and the last ones that ended."""
        return self._host.engine.transfers if self._host else {}

    @property
    def bytes_sent(self) -> Mapping[VirtualAddress, int]:
        """Bytes of chunks sent to each member since the start."""
        return self._host.engine.uploads.bytes_sent if self._host else {}

    def promised(self, member: VirtualAddress) -> int:
        """Bytes of chunks that a member on the paced line is about to get."""
        return self._host.engine.uploads.paced.promised(member) if self._host else 0

    @property
    def _running(self) -> Host:
        if self._host is None:
            raise StateError("the node is not running")
        return self._host

    # ------------------------------------------------------------ those who come

    async def _accept(self, tcp: trio.SocketStream) -> None:
        """One connection that came in, until it closes."""
        try:
            if (admitted := await self._admit(tcp)) is not None:
                await self._running.mesh.serve(*admitted)
        except BusyError as error:
            log.debug("connection refused", why=str(error))
        except P2PacsError as error:
            log.debug("connection ended", why=str(error))  # whoever refused it has said so
        finally:
            await trio.aclose_forcefully(tcp)

    async def _admit(self, tcp: trio.SocketStream) -> tuple[MemberRecord, Channel] | None:
        """Find out who came, and let a newcomer enrol; the member whose link this may become.

        All this holds one place, and ends when somebody else needs it more. Refusals are logged.
        """
        address = channel.network_address_of(tcp)
        scope = trio.CancelScope()
        with scope, self._admission.place(address, trio.current_time(), scope.cancel):
            context = tls.server_context(self.identity, enrolment=self._enrol is not None)
            accepted = await channel.accept(tcp, context, told=self._told)
            if accepted.remote is not None:
                return await self._member(accepted.stream, accepted.remote, address)
            if self._enrol is not None:
                authority = self.identity.authority
                await serve_enrolment(accepted.stream, authority, self._enrol, self._told)
        return None

    async def _member(
        self, stream: tls.Stream, remote: Remote, address: str
    ) -> tuple[MemberRecord, Channel] | None:
        """The member at the other end; None if it is none (any more), which it was told."""
        host, transport = self._running, self._transport
        try:
            record = self._book.directory.check(remote)
            host.mesh.allowed(record.address)
        except AccessError as error:
            self._told.warn(
                log,
                "member refused",
                (remote, type(error).__name__),
                trio.current_time(),
                network_address=address,
                why=str(error),
            )
            await channel.refuse(stream, error)
            return None
        self._admission.member_came(address)
        return (record, transport.opened(stream, remote, address)) if transport else None

    def _list_hosts(self, directory: Directory) -> None:
        """Members are known by their endpoints before they come."""
        hosts: set[str] = set()
        for member in directory.members:
            for text in member.endpoints if not member.revoked else ():
                try:
                    hosts.add(Endpoint.parse(text).host)
                except UsageError:
                    log.debug("not an endpoint", member=member.name)
        self._admission.list_hosts(hosts)

    async def _tell_turned_away(self) -> None:
        told = 0
        while True:
            await trio.sleep(TELL_EVERY)
            if (count := self._admission.turned_away) > told:
                log.warning(
                    "connections turned away", count=count - told, held=len(self._admission)
                )
                told = count


async def _open(endpoint: Endpoint) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(endpoint.port, host=endpoint.host)
    except OSError as error:
        raise StateError(f"cannot listen on {endpoint}: {error.strerror or error}") from error


def _bound(listener: trio.SocketListener) -> Endpoint:
    host, port = listener.socket.getsockname()[:2]
    return Endpoint(host, port)
