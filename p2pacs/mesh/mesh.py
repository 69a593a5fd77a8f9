"""One link a pair of members: dialled, kept, replaced, closed.

Everything above this module names members by address; which link carries what is known here
alone. When both sides dial at once, the link dialled by the lower address stays and the other
is retired: it still delivers what is under way and is closed after a grace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog
import trio
from attrs import frozen

from p2pacs.concurrency.signals import Watch
from p2pacs.errors import (
    AccessError,
    AuthenticationError,
    BusyError,
    DeadlineError,
    ForbiddenError,
    LinkClosedError,
    P2PacsError,
    RemoteError,
    RevokedError,
)
from p2pacs.identity.directory import Directory, MemberRecord, Remote
from p2pacs.ids import VirtualAddress
from p2pacs.limits import LINKS, LINKS_A_MINUTE
from p2pacs.mesh.bans import Bans
from p2pacs.mesh.connection import Connection
from p2pacs.mesh.held_links import HeldLinks
from p2pacs.mesh.interfaces import Channel, Events, Members, Transport
from p2pacs.mesh.link_rate import LinkRate
from p2pacs.process.sparse_log import Sparse
from p2pacs.wire.link.link import run_link
from p2pacs.wire.messages.messages import Hello

log = structlog.get_logger(__name__)


@frozen
class MeshTuning:
    """How members are dialled, and links replaced."""

    dial_seconds: float = 20.0
    """From the first packet to the other side's `Hello`."""
    together_seconds: float = 10.0
    """Two links opened within this time, one by each side, were dialled at once."""
    told_seconds: float = 3600.0
    """Between two lines of the log that say the same of a refused link: it is dialled on."""
    grace_seconds: float = 5.0
    """A retired link delivers what is under way for this long."""


TUNING: Final = MeshTuning()
"""What is used unless a test hands in another."""


class Mesh:
    """All links of one host."""

    def __init__(
        self,
        me: VirtualAddress,
        members: Members,
        transport: Transport,
        events: Events,
        *,
        tuning: MeshTuning = TUNING,
    ) -> None:
        self.me = me
        self.links: dict[VirtualAddress, Connection] = {}
        """Open links by member."""
        self.refused: dict[VirtualAddress, AccessError] = {}
        """Why a member lets no link be, as was last heard; until there is one."""
        self.dials: Counter[str] = Counter()
        """How often members were dialled, by outcome: ``linked`` or ``failed``."""
        self.apart: Callable[[VirtualAddress], bool] = lambda _: False
        """Whether no link with a member can be for now, as neither side can be dialled."""
        self.bans = Bans()
        self.connections: dict[Connection, Remote] = {}
        """All that are open, those that wait for `Hello` and those that are retired too."""
        self._members = members
        self._transport = transport
        self._events = events
        self._tuning = tuning
        self._told = Sparse(tuning.told_seconds)
        self._dials: dict[VirtualAddress, _Dial] = {}
        self._rate = LinkRate()
        self._watch = Watch()
        self.held = HeldLinks(
            self.links,
            self._watch,
            self._try,
            lambda one: one in self.brokers,
            is_revoked_at=lambda one: isinstance(self.refused.get(one), RevokedError),
            seed=bytes(me),
        )
        """Members to whom a link is held."""
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial members and hold links until cancelled."""
        unsubscribe = self._members.subscribe(self._directory_changed)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await nursery.start(self.held.run)
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:  # from now on, not when the last link is down: nothing new is dialled
                    self._nursery = None
        finally:
            unsubscribe()

    @property
    def brokers(self) -> frozenset[VirtualAddress]:
        """The brokers of this network, this host too if it is one."""
        return self._members.directory.brokers

    @property
    def broker_linked(self) -> bool:
        """Whether there is a link to a broker now."""
        return not self.brokers.isdisjoint(self.links)

    # ------------------------------------------------------------ who may

    def allowed(self, member: VirtualAddress) -> MemberRecord:
        """The record of a member with whom a link may be.

        Raises:
            AccessError: unknown, revoked or in quarantine.
        """
        record = self._members.directory.get(member)
        if record is None:
            raise AuthenticationError(f"{member} is not in the member directory")
        if record.revoked:
            raise RevokedError(f"{record.name} was revoked")
        if self.bans.quarantined(member, trio.current_time()):
            raise ForbiddenError(f"{record.name} is in quarantine for what it sent")
        return record

    def name(self, member: VirtualAddress) -> str:
        """The member's name, for logs."""
        record = self._members.directory.get(member)
        return record.name if record else str(member)

    def strike(self, member: VirtualAddress, error: P2PacsError) -> None:
        """A member misbehaved: count it, and at the last strike put it in quarantine."""
        quarantined = self.bans.strike(member, trio.current_time())
        log.warning(
            "member struck", member=self.name(member), error=str(error), quarantined=quarantined
        )
        if quarantined:
            self._close_all(member, ForbiddenError("too many strikes: in quarantine for a while"))

    def _directory_changed(self, directory: Directory) -> None:
        """Who is no longer a member, or whose key was replaced, is cut off at once."""
        for connection, remote in list(self.connections.items()):
            try:
                directory.check(remote)
            except AccessError as error:
                log.warning("link closed", member=self.name(connection.member), why=str(error))
                if self.links.get(connection.member) is connection:
                    self._leave(connection)  # now, and not once it was told: nothing goes to it
                connection.close(error)
        self._watch.changed()

    def _close_all(self, member: VirtualAddress, error: P2PacsError) -> None:
        for connection in list(self.connections):
            if connection.member == member:
                connection.close(error)

    # ------------------------------------------------------------ reaching members

    async def connect(self, member: VirtualAddress) -> Connection:
        """The link to a member, dialled if there is none.

        Raises:
            AccessError: a link with it must not be.
            UnavailableError: it cannot be reached.
        """
        record = self.allowed(member)
        while (connection := self.links.get(member)) is None:
            if self._nursery is None:
                raise LinkClosedError("this host's network is not running")
            dial = self._dials.get(member)
            if dial is None:
                dial = self._dials[member] = _Dial()
                self._nursery.start_soon(self._dial, record, dial)
            await dial.done.wait()
            if dial.error is not None and member not in self.links:
                raise dial.error
        return connection

    async def _dial(self, record: MemberRecord, dial: _Dial) -> None:
        """Reach a member and run the link until it closes."""
        try:
            with trio.fail_after(self._tuning.dial_seconds):
                channel = await self._transport.connect(record)
        except trio.TooSlowError:
            dial.error = DeadlineError(f"{record.name} does not answer")
        except P2PacsError as error:
            dial.error = error
        else:
            await self._carry(record, channel, dial)
        finally:
            self._finish(record.address, dial)

    async def serve(self, record: MemberRecord, channel: Channel) -> None:
        """Run the link of a member that dialled, until it closes.

        Raises:
            BusyError: too many links are open.
        """
        if len(self.connections) >= LINKS:
            raise BusyError("too many links are open on this host")
        self._count(record.address)
        await self._carry(record, channel, None)

    def _count(self, member: VirtualAddress) -> None:
        """A member opens a link.

        Raises:
            BusyError: it did so too often.
        """
        if self._rate.is_exceeded(member, trio.current_time()):
            error = BusyError(f"more than {LINKS_A_MINUTE} links opened within a minute")
            self.strike(member, error)
            raise error

    async def _carry(self, record: MemberRecord, channel: Channel, dial: _Dial | None) -> None:
        connection = Connection(
            self, self._events, record.address, channel, dialled=dial is not None
        )
        self.connections[connection] = channel.remote
        try:
            self.allowed(record.address)  # it may have changed during the handshake
            self._members.directory.check(channel.remote)
            error = await run_link(
                channel.stream,
                remote=record.address,
                hello=self._events.hello(),
                handler=connection,
                dialled=dial is not None,
                lan=channel.lan,
                name=record.name,
            )
            if isinstance(error, RemoteError | AccessError):
                said, now = {"member": record.name, "why": str(error)}, trio.current_time()
                self._told.warn(log, "link refused", tuple(said.values()), now, **said)
            if dial is not None:
                dial.error = error or LinkClosedError(f"{record.name} closed the link")
        except P2PacsError as error:
            await trio.aclose_forcefully(channel.stream)
            if dial is None:
                raise
            dial.error = error
        finally:
            del self.connections[connection]

    def _finish(self, member: VirtualAddress, dial: _Dial) -> None:
        if self._dials.get(member) is dial:
            del self._dials[member]
        if not dial.done.is_set():
            self.dials["linked" if member in self.links else "failed"] += 1
            dial.done.set()

    async def _try(self, member: VirtualAddress) -> bool:
        """Dial a member; whether it was reached."""
        try:
            await self.connect(member)
        except P2PacsError as error:
            log.debug("not reached", member=self.name(member), error=str(error))
            self._note_refusal(member, error)
            return False
        return True

    async def until_linked(self, *members: VirtualAddress) -> None:
        """Until there is a link to one of these members."""
        await self._watch.until(lambda: not self.links.keys().isdisjoint(members))

    # ------------------------------------------------------------ called by connections

    def opened(self, connection: Connection, hello: Hello) -> None:
        """The other side's `Hello` came."""
        member = connection.member
        old = self.links.get(member)
        if old is None:
            self._enter(connection, hello)
        elif (
            old.dialled != connection.dialled
            and connection.opened_at - old.opened_at < self._tuning.together_seconds
        ):
            wins = connection.dialled == (self.me < member)
            if wins:
                self.links[member] = connection
            self._retire(old if wins else connection)
        else:  # the other side lost the old one before we noticed
            self._leave(old)
            old.close(LinkClosedError("replaced by a newer link"))
            self._enter(connection, hello)
        if dial := self._dials.get(member):
            self._finish(member, dial)

    def _enter(self, connection: Connection, hello: Hello) -> None:
        self.links[connection.member] = connection
        self.refused.pop(connection.member, None)
        log.info("linked", member=self.name(connection.member), dialled=connection.dialled)
        self._events.linked(connection.member, hello)
        self._watch.changed()

    def _leave(self, connection: Connection) -> None:
        del self.links[connection.member]
        self._events.unlinked(connection.member)
        self._watch.changed()

    def _retire(self, connection: Connection) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._bury, connection)

    async def _bury(self, connection: Connection) -> None:
        await trio.sleep(self._tuning.grace_seconds)
        connection.close(None)

    def closed(self, connection: Connection, error: P2PacsError | None) -> None:
        """A link is closed."""
        if self.links.get(connection.member) is connection:
            log.info(
                "unlinked",
                member=self.name(connection.member),
                error=str(error) if error else None,
            )
            self._leave(connection)
        self._note_refusal(connection.member, error)
        if isinstance(error, RemoteError):
            self.strike(connection.member, error)

    def _note_refusal(self, member: VirtualAddress, error: P2PacsError | None) -> None:
        """Keep what an administrator has to know; merely being away is no refusal."""
        if isinstance(error, AccessError) and member not in self.links:
            self.refused[member] = error


class _Dial:
    """A dial under way."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.error: P2PacsError | None = None
