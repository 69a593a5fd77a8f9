"""A member of the network on TLS sockets: its listeners, and who is let in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
import trio

from p2pacs.admission import Admission
from p2pacs.errors import AccessError, BusyError, P2PacsError, UsageError
from p2pacs.identity import tls
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Directory, MemberRecord, Remote
from p2pacs.identity.node import NodeIdentity
from p2pacs.line.line import Line
from p2pacs.mesh.dialling import TlsTransport
from p2pacs.mesh.interfaces import Channel
from p2pacs.process.listening import ListenError
from p2pacs.process.sparse_log import Sparse
from p2pacs.punch.door import HeldDoor
from p2pacs.punch.held_port import TakenError, hold
from p2pacs.punch.introducing import Introducer
from p2pacs.punch.puncher import Puncher
from p2pacs.punch.whereabouts import Mapping
from p2pacs.swarm.host import Host, Services
from p2pacs.swarm.studies.chunks import ChunkStorage
from p2pacs.units import Endpoint
from p2pacs.wire.channel import channel
from p2pacs.wire.enrolment.serving import EnrolHandler, serve_enrolment
from p2pacs.wire.messages.messages import MeetNow, MeetOrder, MeetQuery, Seen

__all__ = ["Line", "Node", "Services"]

log = structlog.get_logger(__name__)

TELL_EVERY: Final = 60.0
"""Seconds between two lines of the log that tell how many strangers were turned away: a flood of
them must not become a flood of lines."""


class Node:
    """This member: a `Host` on TLS, and the listeners of those who dial it."""

    def __init__(  # noqa: PLR0917 (the seven parts of a node)
        self,
        identity: NodeIdentity,
        book: DirectoryBook,
        store: ChunkStorage,
        line: Line,
        services: Services,
        listen: Sequence[Endpoint],
        enrol: EnrolHandler | None = None,
        *,
        mapping: Mapping | None = None,
    ) -> None:
        """Nothing happens before `run`, once; to be built inside a trio run.

        Args:
            identity: Who this member is. A renewed certificate in its folder is used for every
                channel from then on.
            book: The member directory.
            store: Where chunks are kept.
            line: What is paced, and how.
            services: What the program answers beside the swarm.
            listen: Where others may connect; may be empty.
            enrol: Admits newcomers; the broker's alone.
            mapping: Has the router map a port; None: it is not asked.
        """
        self.identity = identity
        self.listen = listen
        """Where others may connect, as it was configured."""
        self._book = book
        self._enrol = enrol
        self._transport = TlsTransport(identity, book, line, listen)
        self.host = Host(
            address=identity.address,
            book=book,
            store=store,
            line=line,
            services=services,
            transport=self._transport,
        )
        """Links, questions and studies: what the programs use of a node."""
        self._transport.pace(self.host.uplink, self.host.downlink)
        self._port = None if identity.address in book.directory.brokers else hold()
        self.puncher = Puncher(
            identity,
            book,
            self.host.mesh,
            self.host.engine,
            opened=self._transport.opened,
            door=None if self._port is None else HeldDoor(self._port),
            lan=line.lan,
            mapping=mapping,
        )
        """Links to members that nobody can dial; the broker is dialled, and introduces."""
        self._wire_puncher(services)
        self.admission = Admission()
        self._told = Sparse()

    async def run(
        self, *, task_status: trio.TaskStatus[list[Endpoint]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Take part in the network until cancelled; reports where it listens once it does.

        Raises:
            StateError: an address to listen on is not free or not this machine's.
        """
        self._list_hosts(self._book.directory)
        unsubscribe = self._book.subscribe(self._list_hosts)
        try:
            listeners = [one for endpoint in self.listen for one in await _open(endpoint)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._transport.run)
                nursery.start_soon(self._tell_turned_away)
                await nursery.start(self.puncher.run)
                await nursery.start(self.host.run)
                if listeners:
                    nursery.start_soon(trio.serve_listeners, self._accept, listeners)
                task_status.started([_bound(listener) for listener in listeners])
        finally:
            unsubscribe()
            self._transport.close()

    def _wire_puncher(self, services: Services) -> None:
        mesh, puncher = self.host.mesh, self.puncher
        self.host.puncher = puncher
        services.queries[MeetQuery] = Introducer(mesh).answer
        services.queries[MeetOrder] = puncher.order
        services.news[MeetNow] = puncher.begin
        services.news[Seen] = puncher.seen
        self.host.link_listeners.append(puncher.linked)
        self.host.unlink_listeners.append(puncher.unlinked)
        mesh.apart = lambda member: puncher.pairs.waits(member, trio.current_time())
        if self._port is not None:
            self._transport.meet = puncher.connect
            self._transport.open_tcp = self._open_tcp

    async def _open_tcp(
        self, endpoint: Endpoint, *, source: str | None = None
    ) -> trio.SocketStream:
        """Dial from the held port, as who is dialled tells where it sees that (`Seen`)."""
        if self._port is not None:
            try:
                return await self._port.reach(endpoint, source)
            except TakenError:
                log.debug("dialled from another port", endpoint=str(endpoint))
        return await channel.open_tcp(endpoint, source=source)

    # ------------------------------------------------------------ those who come

    async def _accept(self, tcp: trio.SocketStream) -> None:
        """One connection that came in, until it closes."""
        try:
            if (admitted := await self._admit(tcp)) is not None:
                await self.host.mesh.serve(*admitted)
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
        with scope, self.admission.place(address, trio.current_time(), scope.cancel):
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
        try:
            record = self._book.directory.check(remote)
            self.host.mesh.allowed(record.address)
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
        self.admission.member_came(address)
        return record, self._transport.opened(stream, remote, address)

    def _list_hosts(self, directory: Directory) -> None:
        """Members are known by their endpoints before they come."""
        hosts: set[str] = set()
        for member in directory.members:
            for text in member.endpoints if not member.revoked else ():
                try:
                    hosts.add(Endpoint.parse(text).host)
                except UsageError:
                    log.debug("not an endpoint", member=member.name)
        self.admission.list_hosts(hosts)

    async def _tell_turned_away(self) -> None:
        told = 0
        while True:
            await trio.sleep(TELL_EVERY)
            if (count := self.admission.turned_away) > told:
                log.warning("connections turned away", count=count - told, held=len(self.admission))
                told = count


async def _open(endpoint: Endpoint) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(endpoint.port, host=endpoint.host)
    except OSError as error:
        raise ListenError(endpoint, error) from error


def _bound(listener: trio.SocketListener) -> Endpoint:
    host, port = listener.socket.getsockname()[:2]
    return Endpoint(host, port)
