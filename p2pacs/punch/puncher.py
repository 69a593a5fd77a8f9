"""Members that nobody can dial: asked for through a neighbour, and answered; both dial at once."""

from __future__ import annotations

from typing import Final, Protocol

import structlog
import trio
from attrs import define, field

from p2pacs.concurrency.tasks import Tasks
from p2pacs.errors import (
    AccessError,
    AuthenticationError,
    BusyError,
    ForbiddenError,
    MalformedMessageError,
    NoSourceError,
    P2PacsError,
    RemoteError,
    UnavailableError,
)
from p2pacs.identity.directory import MemberRecord, Remote
from p2pacs.identity.member_signature import MemberKey
from p2pacs.identity.node import NodeIdentity
from p2pacs.identity.tls import Stream
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MEETINGS
from p2pacs.mesh.connection import Connection
from p2pacs.mesh.interfaces import Channel, Members
from p2pacs.mesh.mesh import Mesh
from p2pacs.phrases import Phrase
from p2pacs.punch import offers
from p2pacs.punch.addresses import targets
from p2pacs.punch.askers import Askers
from p2pacs.punch.attempts import Attempts
from p2pacs.punch.door import HeldDoor
from p2pacs.punch.encounter import Encounter
from p2pacs.punch.introducing import member_of
from p2pacs.punch.meeting import Met, Rendezvous
from p2pacs.punch.offers import MeetingOffer
from p2pacs.punch.pairs import Pairs
from p2pacs.punch.whereabouts import Mapping, Position, Whereabouts
from p2pacs.units import IPNetwork
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import (
    MeetAccepted,
    MeetNow,
    MeetOrder,
    MeetQuery,
    Message,
    Query,
    Reply,
    Seen,
)

log = structlog.get_logger(__name__)

ASK_SECONDS: Final = 8.0
"""For a neighbour's answer: it asks the other member first."""

NOW_SECONDS: Final = 5.0
"""From the answer to a neighbour's order until it says when to begin."""

NEIGHBOURS_ASKED: Final = 4
"""One after the other, for one meeting: a broker first, which is linked with all."""

JUST_LINKED_SECONDS: Final = 10.0
"""A member with a link so young is not met: it asked before it had it."""

NO_PORT: Final = Phrase("it dials out only, and this machine cannot share a port between sockets")
NO_STUDY: Final = Phrase("it dials out only, and there is no study that both take part in")
NO_NEIGHBOUR: Final = Phrase("it dials out only, and no member is linked with both of us")


class Studies(Protocol):
    """In which swarms this host takes part (`p2pacs.swarm.engine.Engine`)."""

    def wanted_from(self, member: VirtualAddress) -> StudyId | None:
        """A study that is fetched here and that this member has or fetches."""

    def takes_part(self, study: StudyId) -> bool:
        """Whether a study is held or fetched here."""

    def partners(self, study: StudyId) -> list[VirtualAddress]:
        """Linked members that take part in it."""


class Opener(Protocol):
    """Makes a channel of a finished handshake (`p2pacs.mesh.dialling.TlsTransport.opened`)."""

    def __call__(
        self, stream: Stream, remote: Remote, host: str, *, lan: bool | None, met: bool
    ) -> Channel:
        """As `TlsTransport.opened`."""


@define
class _Invited:
    """A meeting of which a neighbour has still to name the moment."""

    meeting: Rendezvous
    began: trio.Event = field(factory=trio.Event)
    delay: float = 0.0


class Puncher:
    """All meetings of one host."""

    def __init__(
        self,
        identity: NodeIdentity,
        members: Members,
        mesh: Mesh,
        studies: Studies,
        *,
        opened: Opener,
        door: HeldDoor | None,
        lan: tuple[IPNetwork, ...] = (),
        mapping: Mapping | None = None,
    ) -> None:
        """Nobody is met before `run`.

        Args:
            identity: Ours.
            members: The directory.
            mesh: The links.
            studies: What is fetched and held here.
            opened: Makes channels.
            door: The port that is held; None: there is none, and nobody is met.
            lan: What the settings call the local network.
            mapping: Has the router map the held port.
        """
        self.pairs = Pairs()
        """With whom no link can be, and why."""
        self._me = identity.address
        self._identity = identity
        self._members = members
        self._mesh = mesh
        self._studies = studies
        self._opened = opened
        self._door = door
        self._mapping = mapping
        port = None if door is None else door.port.number
        self._here = Whereabouts(self._me, members, mesh, port, lan)
        self._key = MemberKey.load(identity.folder)
        self._askers = Askers()
        self._asking: set[VirtualAddress] = set()
        self._invited: dict[tuple[VirtualAddress, VirtualAddress], _Invited] = {}
        self._tasks = Tasks()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Meet members until cancelled."""
        async with self._tasks.open() as nursery:
            if self._door is not None:
                nursery.start_soon(self._door.run)
            if self._mapping is not None:
                nursery.start_soon(self._here.keep_mapped, self._mapping)
            task_status.started()
            await trio.sleep_forever()

    @property
    def position(self) -> Position:
        """How this host can be reached, as far as is known."""
        return self._here.position

    # ------------------------------------------------------------ what links tell

    def linked(self, member: VirtualAddress) -> None:
        """A member is linked: who came to us is told where it is seen."""
        self.pairs.linked(member)
        link = self._mesh.links.get(member)
        if link is not None and not link.dialled and link.peer is not None and not link.lan:
            link.send(Seen(str(link.peer)))

    def unlinked(self, member: VirtualAddress) -> None:
        """A member is linked no more."""
        self._here.unlinked(member)

    def seen(self, member: VirtualAddress, message: Message) -> None:
        """A neighbour tells where it sees this host (`Seen`): elsewhere all may be met anew."""
        if isinstance(message, Seen) and self._here.seen(member, message):
            self.pairs.moved()

    # ------------------------------------------------------------ asking

    async def connect(self, record: MemberRecord) -> Channel:
        """Meet a member that cannot be dialled.

        Raises:
            NoSourceError: it cannot be met, or not for now; why.
            UnavailableError: no connection came about, or somebody is busy.
        """
        member, door = record.address, self._door
        if door is None:
            raise _cannot(record, NO_PORT)
        why = self.pairs.why(member)
        if why is not None and self.pairs.waits(member, trio.current_time()):
            raise _cannot(record, why)
        study = self._studies.wanted_from(member)
        if study is None:
            raise _cannot(record, NO_STUDY)
        if len(door) >= MEETINGS:
            raise BusyError(f"{MEETINGS} meetings are under way")
        self._asking.add(member)
        try:
            return await self._ask_and_meet(door, record, study)
        finally:
            self._asking.discard(member)

    async def _ask_and_meet(self, door: HeldDoor, record: MemberRecord, study: StudyId) -> Channel:
        mine = self._here.offer(record.address, study)
        raw = mine.signed(self._key)
        said, theirs = await self._introduced(record, study, raw)
        token = offers.token(raw, said.offer)
        met = self._encounter(record, mine, theirs, said, token)
        if not met.has_hope:
            raise self._failed(met)
        meeting = self._meeting(door, met)
        try:
            with door.open(token, meeting):
                await trio.sleep(said.delay / 1000)
                return self._channel(met, await meeting.run())
        except UnavailableError as error:
            raise self._failed(met) from error

    async def _introduced(
        self, record: MemberRecord, study: StudyId, raw: bytes
    ) -> tuple[messages.Meeting, MeetingOffer]:
        """Ask neighbours until one has introduced the two; its answer, and the other's offer."""
        failure: UnavailableError = _cannot(record, NO_NEIGHBOUR)
        for link in self._neighbours(record.address, study)[:NEIGHBOURS_ASKED]:
            try:
                return await self._introduced_by(link, record, raw)
            except BusyError:
                raise  # the other one asks us, or has too much to do: no neighbour changes that
            except (UnavailableError, AccessError, RemoteError) as error:
                log.debug("not introduced", member=record.name, why=str(error))
                failure = error if isinstance(error, UnavailableError) else failure
        raise failure

    async def _introduced_by(
        self, link: Connection, record: MemberRecord, raw: bytes
    ) -> tuple[messages.Meeting, MeetingOffer]:
        query = MeetQuery(1, bytes(record.address), raw)
        said = await link.call(query, timeout=ASK_SECONDS)
        if not isinstance(said, messages.Meeting):
            raise MalformedMessageError("no answer to a question of a meeting")
        theirs = offers.read_offer(said.offer, record, self._me)
        if theirs.answers != offers.digest(raw):
            raise AuthenticationError("an answer to another offer")
        return said, theirs

    def _neighbours(self, member: VirtualAddress, study: StudyId) -> list[Connection]:
        """Who may be linked with both: brokers, who is in the swarm, and who can be dialled."""
        links, brokers = self._mesh.links, self._mesh.brokers
        inside = set(self._studies.partners(study))
        dialled = {one.address for one in self._members.directory.members if one.endpoints}
        able = [one for one in links if one != member and not links[one].lan]
        known = [one for one in able if one in brokers | inside | dialled]
        known.sort(key=lambda one: (one not in brokers, one not in inside, one))
        return [links[one] for one in known]

    # ------------------------------------------------------------ answering

    async def order(self, neighbour: VirtualAddress, query: Query) -> Reply:
        """A neighbour says that somebody asks to meet this host (`MeetOrder`).

        Raises:
            P2PacsError: why it does not.
        """
        if not isinstance(query, MeetOrder):
            raise MalformedMessageError("no order of a meeting")
        asker, door = member_of(query.member), self._door
        record = self._mesh.allowed(asker)
        if door is None:
            raise NoSourceError("this member cannot share a port between sockets")
        self._check_asker(asker, neighbour, door)
        theirs = offers.read_offer(query.offer, record, self._me)
        self._askers.take(theirs, trio.current_time())
        if not self._studies.takes_part(theirs.study):
            raise ForbiddenError("the two have no study in common")
        mine = self._here.offer(asker, theirs.study, offers.digest(query.offer))
        answer = mine.signed(self._key)
        met = self._encounter(record, mine, theirs, query, offers.token(query.offer, answer))
        if met.has_hope:
            invited = _Invited(self._meeting(door, met))
            self._invited[neighbour, asker] = invited
            self._tasks.start(self._respond, neighbour, door, met, invited)
        return MeetAccepted(query.id, answer)

    def _check_asker(
        self, asker: VirtualAddress, neighbour: VirtualAddress, door: HeldDoor
    ) -> None:
        now = trio.current_time()
        if len(door) >= MEETINGS or (neighbour, asker) in self._invited:
            raise BusyError("too many meetings are under way")
        if asker in self._asking and self._me < asker:
            raise BusyError("the two ask for each other: the lower address does")
        link = self._mesh.links.get(asker)
        if link is not None and now - link.opened_at < JUST_LINKED_SECONDS:
            raise BusyError("the two are linked")
        self._askers.count(asker, now)

    def begin(self, neighbour: VirtualAddress, message: Message) -> None:
        """A neighbour names the moment (`MeetNow`)."""
        if isinstance(message, MeetNow):
            invited = self._invited.get((neighbour, member_of(message.member)))
            if invited is not None:
                invited.delay = message.delay / 1000
                invited.began.set()

    async def _respond(
        self, neighbour: VirtualAddress, door: HeldDoor, met: Encounter, invited: _Invited
    ) -> None:
        """Dial when the moment has come, and run the link that comes of it until it closes."""
        try:
            with door.open(met.token, invited.meeting):
                with trio.move_on_after(NOW_SECONDS):
                    await invited.began.wait()
                if not invited.began.is_set():
                    return
                await trio.sleep(invited.delay)
                done = await invited.meeting.run()
        except UnavailableError as error:
            log.debug("not met", member=met.record.name, why=str(self._failed(met)), error=error)
            return
        except P2PacsError as error:
            log.debug("not met", member=met.record.name, why=str(error))
            return
        finally:
            del self._invited[neighbour, met.record.address]
        await self._serve(met, done)

    async def _serve(self, met: Encounter, done: Met) -> None:
        try:
            await self._mesh.serve(met.record, self._channel(met, done))
        except P2PacsError as error:
            log.debug("connection ended", member=met.record.name, why=str(error))
        finally:
            await trio.aclose_forcefully(done.stream)

    # ------------------------------------------------------------ both

    def _encounter(
        self,
        record: MemberRecord,
        mine: MeetingOffer,
        theirs: MeetingOffer,
        said: messages.Meeting | MeetOrder,
        token: bytes,
    ) -> Encounter:
        around = self._here.surroundings(record)
        found = targets(theirs.endpoints, said.seen, said.yours, around)
        return Encounter(record, mine, theirs, said.seen, said.yours, tuple(found), token)

    def _meeting(self, door: HeldDoor, met: Encounter) -> Rendezvous:
        attempts = Attempts(met.targets, bytes(self._me) + met.token)
        return Rendezvous(door.port, self._identity, met.record.address, met.token, attempts)

    def _channel(self, met: Encounter, done: Met) -> Channel:
        """What came of it; over the LAN if it was reached there."""
        near = met.is_near(done.host) or None
        return self._opened(done.stream, done.remote, done.host, lan=near, met=True)

    def _failed(self, met: Encounter) -> NoSourceError:
        """No link came of it; why."""
        member = met.record.address
        if member not in self._mesh.links:
            self.pairs.failed(member, met.why_not, trio.current_time())
        return _cannot(met.record, met.why_not)


def _cannot(record: MemberRecord, why: Phrase) -> NoSourceError:
    return NoSourceError(
        Phrase("%(member)s cannot be reached: %(why)s", member=record.name, why=why)
    )
