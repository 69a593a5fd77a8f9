"""Every message of the protocol: declared once, here; the declaration drives the codec.

A message is a frozen attrs class with a number. On the wire it is the msgpack
array ``[number, field, field, …]`` in the order of declaration (docs/wire.md).
A *query* has a field ``id`` that its *reply* repeats; everything else is *news*
and gets no answer. Ids are raw bytes here (`StudyId`, `ChunkId`,
`VirtualAddress` are built by whoever uses them, which checks their length).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from attrs import frozen

PROTOCOL: Final = 9
"""Version in `Hello`; a member with another one is refused with a clear error."""

GRANT_INFO: Final = b"p2pacs study key "
"""HPKE's ``info`` when a study key is wrapped to a member: this and the study id's 16 bytes."""


@frozen
class Message:
    """Base of all messages."""


@frozen
class Query(Message):
    """A message that expects the reply (or `QueryFailure`) with the same id."""

    id: int


@frozen
class Reply(Message):
    """The answer to the `Query` with the same id."""

    id: int


NUMBERS: dict[type[Message], int] = {}
KINDS: dict[int, type[Message]] = {}

_M = TypeVar("_M", bound=type[Message])


def _message(number: int) -> Callable[[_M], _M]:
    def register(kind: _M) -> _M:
        if number in KINDS:
            raise ValueError(f"message number {number} is taken")
        NUMBERS[kind] = number
        KINDS[number] = kind
        return kind

    return register


# ---------------------------------------------------------------- the link itself


@_message(1)
@frozen
class Hello(Message):
    """First message of both sides, after the handshake."""

    protocol: int
    agent: str
    directory_version: int
    """Version of the member directory held: whoever has a newer one sends it."""


@_message(2)
@frozen
class Ping(Query):
    """Is the link alive?"""

    id: int


@_message(3)
@frozen
class Pong(Reply):
    """It is."""

    id: int


@_message(4)
@frozen
class QueryFailure(Reply):
    """A query was not answered: ``code`` is a ``wire_code`` of p2pacs/errors.py.

    With id 0 it is the last message before the link is closed.
    """

    id: int
    code: int
    text: str


# ---------------------------------------------------------------- the swarm of one study


@_message(16)
@frozen
class Join(Message):
    """I take part in this study's swarm; tell me what you have and get, from now on.

    The receiver answers with a `Join` of its own if it holds anything of the
    study and has not sent one on this link.
    """

    study: bytes
    version: int
    """Manifest version held; 0 for none."""
    have: bytes
    """Bit field of chunk numbers held, most significant bit first (as BEP 3)."""
    fetching: bool
    """Whether this member still wants chunks."""
    priority: int
    """How urgent that is: 0 background, 1 prefetch, 2 interactive, 3 STAT."""
    offers: bool
    """This member's line is paced: it sends what it offered (`Offer`), not what it is asked
    for unasked."""


@_message(17)
@frozen
class Have(Message):
    """Chunks that arrived since the last `Join` or `Have`: [first, count] pairs.

    What the receiver itself sent is not among them.
    """

    study: bytes
    ranges: list[tuple[int, int]]


@_message(18)
@frozen
class Leave(Message):
    """I no longer take part: nothing is held or wanted here."""

    study: bytes


@_message(19)
@frozen
class Request(Message):
    """Send me these chunks, in this order if you can; answered by `Block` or `Refuse`.

    To a member that makes offers: at most as many as it offered; none if nothing of what it
    has is wanted now.
    """

    study: bytes
    numbers: list[int]


@_message(20)
@frozen
class Cancel(Message):
    """I no longer need these; blocks already under way are ignored."""

    study: bytes
    numbers: list[int]


@_message(21)
@frozen
class Block(Message):
    """Part of a requested chunk. Blocks of one chunk come in order and without gaps."""

    study: bytes
    number: int
    offset: int
    size: int
    """Bytes of the whole chunk."""
    data: bytes


@_message(22)
@frozen
class Refuse(Message):
    """These requested chunks will not come from here (not held, or a limit)."""

    study: bytes
    numbers: list[int]
    code: int


@_message(23)
@frozen
class Offer(Message):
    """My line will be free soon: choose up to ``chunks`` chunks; answered by one `Request`."""

    study: bytes
    chunks: int
    numbers: list[int]
    """What best to choose from (given to fewest members yet); may be empty: no advice."""


NUMBERED: Final = frozenset({Have, Leave, Request, Cancel, Block, Refuse, Offer})
"""What is said most often: its study travels as a number, once it is one of the first studies that
its sender joined on this link (`p2pacs.wire.messages.numbers`). Seventeen bytes less a message are
a five hundredth of all that a swarm sends."""


# ---------------------------------------------------------------- manifests


@_message(32)
@frozen
class ManifestQuery(Query):
    """The newest root that you hold of this study, if newer than ``newer_than``."""

    id: int
    study: bytes
    newer_than: int


@_message(33)
@frozen
class Manifest(Reply):
    """A signed root; empty if there is none newer."""

    id: int
    root: bytes


@_message(34)
@frozen
class SegmentQuery(Query):
    """The segment with this chunk id."""

    id: int
    study: bytes
    chunk: bytes


@_message(35)
@frozen
class SegmentAnswer(Reply):
    """A segment, to be verified against its id."""

    id: int
    data: bytes


@_message(36)
@frozen
class ManifestNews(Message):
    """A newer signed root, pushed to everyone who joined the study."""

    study: bytes
    root: bytes


@_message(37)
@frozen
class PossessionQuery(Query):
    """Do you hold every chunk of this version, or of a newer one? Asked before a copy is
    dropped: the last one never is. With a nonce: prove it of these chunks."""

    id: int
    study: bytes
    version: int
    have: bytes
    nonce: bytes


@_message(38)
@frozen
class Possession(Reply):
    """Whether every chunk is held, on disk; with the proof if it was demanded."""

    id: int
    whole: bool
    proof: bytes


# ---------------------------------------------------------------- the directory of members


@_message(40)
@frozen
class DirectoryQuery(Query):
    """The signed member directory, if newer than this version."""

    id: int
    newer_than: int


@_message(41)
@frozen
class DirectoryAnswer(Reply):
    """The signed member directory; empty if there is none newer."""

    id: int
    signed: bytes


@_message(42)
@frozen
class DirectoryNews(Message):
    """A newer signed member directory."""

    signed: bytes


# ---------------------------------------------------------------- the broker's services

VIEW: Final = "view"
"""The purpose of somebody who opens a study in a viewer."""

ADDRESS: Final = "address"
"""The purpose of a member that a study is addressed to (`FetchOrder`)."""


@_message(48)
@frozen
class StudyQuery(Query):
    """May I read this study, and who has it? Stages it from the PACS if nobody has."""

    id: int
    study: bytes
    purpose: str
    """For the audit trail: ``move``, ``get``, ``view``, ``command``, ``address`` or ``replicate``.
    Who asks to view does not wait until what is published was compared with the PACS: it comes as
    news."""


@_message(49)
@frozen
class StudyGrant(Reply):
    """The study key, wrapped to the asker (empty for a blind replica); the newest root
    (empty while nothing is published yet: it comes as `ManifestNews`); virtual addresses
    of members that hold or fetch the study; the segment that lists what it begins with."""

    id: int
    wrapped_key: bytes
    root: bytes
    holders: list[bytes]
    segment: bytes
    """The root's first; empty if the broker has none."""


@_message(50)
@frozen
class Announce(Message):
    """To the broker: I hold or fetch this study (``held``), or I dropped it."""

    study: bytes
    version: int
    held: bool
    complete: bool


@_message(51)
@frozen
class HoldersNews(Message):
    """From the broker, to members that fetch a study: who holds or fetches it now."""

    study: bytes
    holders: list[bytes]


@_message(52)
@frozen
class Replicate(Message):
    """From the broker, to replicas: fetch this study and keep it."""

    study: bytes


@_message(53)
@frozen
class CatalogueQuery(Query):
    """The catalogue's changes after this sequence number, as far as I may read them."""

    id: int
    since: int


@_message(54)
@frozen
class CataloguePage(Reply):
    """A page of the feed. ``entries`` are msgpack blobs (p2pacs/catalogue/feed.py)."""

    id: int
    entries: list[bytes]
    until: int
    """Sequence number up to which this page leads; ask again from here."""
    more: bool
    reset: bool
    """The feed starts anew: forget everything held before these entries."""


@_message(55)
@frozen
class CatalogueNews(Message):
    """The catalogue has grown to this sequence number."""

    until: int


@_message(56)
@frozen
class InstancesQuery(Query):
    """The series and instances of a study, asked of the PACS (for image level C-FIND)."""

    id: int
    study: bytes


@_message(57)
@frozen
class Instances(Reply):
    """The instances of a study, by series (`p2pacs/catalogue/listing.py`)."""

    id: int
    series: list[bytes]
    more: bool


@_message(58)
@frozen
class AuditReport(Query):
    """What was read at a member's gateway: msgpack maps ``{"study": bytes, "caller": str (AE
    title, or account), "purpose": str, "time": int (ms since 1970)}``, and how it ended where
    that is known: ``"outcome": str, "sent": int, "total": int``; or what the member received
    (`p2pacs.wire.messages.received`)."""

    id: int
    records: list[bytes]


@_message(59)
@frozen
class AuditKept(Reply):
    """The records are kept; the member may forget them."""

    id: int


@_message(60)
@frozen
class RenewQuery(Query):
    """A certificate request (PKCS #10, DER) with the member's same key."""

    id: int
    csr: bytes


@_message(61)
@frozen
class Renewal(Reply):
    """The new certificate (X.509, DER)."""

    id: int
    certificate: bytes


@_message(70)
@frozen
class ReachQuery(Query):
    """What time is it there, and can you dial me at the addresses that the directory names?"""

    id: int
    time: int
    """The asker's own: milliseconds since 1970."""


@_message(71)
@frozen
class Reach(Reply):
    """The broker's time, and which of the asker's addresses answered with its certificate."""

    id: int
    time: int
    reached: list[str]
    missed: list[str]


# ---------------------------------------------------------------- studies that a member sends


@_message(62)
@frozen
class SendQuery(Query):
    """I have instances of this study: may I publish it? Asked anew for every publication."""

    id: int
    uid: str
    """Study Instance UID: the broker alone knows which id it has."""
    key: bytes
    """Raw Ed25519 public key that I sign its manifests with."""
    callers: list[str]
    """AE titles that they came from."""


@_message(63)
@frozen
class SendGrant(Reply):
    """You may: until another one publishes it, nobody else does."""

    id: int
    study: bytes
    """Its id in this network."""
    wrapped_key: bytes
    """The study key, wrapped to the asker."""
    delegation: bytes
    """What its manifests are signed by (p2pacs/study/delegation.py)."""
    version: int
    """The newest version that is out: the next one goes on from it."""
    holders: list[bytes]
    """Virtual addresses of members that hold that version."""


@_message(68)
@frozen
class SentReport(Query):
    """A version of a study that I may publish is out; and: how far is it?"""

    id: int
    study: bytes
    version: int
    complete: bool
    """Whether nothing more has come."""
    entry: bytes
    """What the catalogue says of it (p2pacs/catalogue/feed.py)."""


@_message(69)
@frozen
class SentNoted(Reply):
    """It is listed."""

    id: int
    held: int
    """Newest version of which the broker holds every chunk; 0 for none."""
    stored: int
    """Newest version of which the central PACS has every instance; 0 for none."""
    members: list[bytes]
    """Virtual addresses of the members that it is addressed to, and of replicas."""
    versions: list[int]
    """Newest version of which each of these says that it holds every chunk; 0 for none."""
    shares: list[int]
    """How many thousandths of the newest version each of these has, as far as the broker knows."""
    why: str
    """Why the last try to store it in the PACS failed, without patient data; empty: none did."""


@_message(72)
@frozen
class AddressQuery(Query):
    """A study that I send is for these members, and for no others that I named before: they shall
    fetch it, and may read it whatever their rules say."""

    id: int
    study: bytes
    recipients: list[bytes]
    """Virtual addresses."""
    priority: int
    """How urgent it is to them: as in `Join`."""


@_message(73)
@frozen
class AddressAnswer(Reply):
    """These are told; the others cannot be: they are unknown, revoked, or read nothing."""

    id: int
    accepted: list[bytes]


@_message(74)
@frozen
class FetchOrder(Query):
    """From the broker: this study is addressed to you, fetch it. Asked until it is answered, and
    anew when there is a newer version that is whole."""

    id: int
    study: bytes
    version: int
    """The newest that is out."""
    priority: int
    sender: bytes
    """Virtual address of the member that addressed it; the broker's own: an administrator did."""
    addressed: int
    """When: milliseconds since 1970."""


@_message(75)
@frozen
class FetchOrderKept(Reply):
    """The order is kept here, on disk."""

    id: int


@_message(76)
@frozen
class CancelQuery(Query):
    """I send nothing more of this study: it was cancelled here. Asked until it is answered."""

    id: int
    uid: str
    """Study Instance UID: the id may not be known here yet."""
    count: int
    """Instances of it that had come here."""


@_message(77)
@frozen
class CancelNoted(Reply):
    """Nothing more of it is waited for, until it may be sent again (`SendQuery`)."""

    id: int
    stored: int
    """Newest version of which the central PACS has every instance: if that is the last one, the
    cancellation came too late; 0 for none."""


@_message(78)
@frozen
class FetchEnd(Query):
    """From the broker: do not fetch this study (any more), for which there was a `FetchOrder`.
    Asked until it is answered."""

    id: int
    study: bytes
    cancelled: bool
    """Whether its sender cancelled it; else it is addressed to you no longer."""


@_message(79)
@frozen
class FetchEndKept(Reply):
    """It is not fetched."""

    id: int


# ---------------------------------------------------------------- meeting through a neighbour


@_message(80)
@frozen
class Seen(Message):
    """You came to me from this endpoint: what your router makes of your address."""

    endpoint: str


@_message(82)
@frozen
class MeetQuery(Query):
    """To a neighbour: I cannot dial this member; introduce us."""

    id: int
    member: bytes
    """Virtual address."""
    offer: bytes
    """Where I may be found, signed for that member (p2pacs/punch/offers.py)."""


@_message(83)
@frozen
class Meeting(Reply):
    """It is willing: begin to dial."""

    id: int
    offer: bytes
    """Where the other member may be found, signed for the asker."""
    seen: str
    """Where I see the other member."""
    yours: str
    """Where I see you."""
    delay: int
    """Begin so many milliseconds after you read this."""


@_message(84)
@frozen
class MeetOrder(Query):
    """From a neighbour: this member asks to meet you."""

    id: int
    member: bytes
    """Virtual address."""
    offer: bytes
    seen: str
    """Where I see that member."""
    yours: str
    """Where I see you."""


@_message(85)
@frozen
class MeetAccepted(Reply):
    """I am willing, and begin when you say so (`MeetNow`)."""

    id: int
    offer: bytes
    """Where I may be found, signed for that member."""


@_message(86)
@frozen
class MeetNow(Message):
    """From a neighbour: begin to dial this member so many milliseconds after you read this."""

    member: bytes
    delay: int


# ---------------------------------------------------------------- enrolment (its own channel)


@_message(64)
@frozen
class EnrolQuery(Query):
    """First and only message of the new member."""

    id: int
    secret: bytes
    """The one-time secret of the token."""
    csr: bytes
    """PKCS #10, DER: proves possession of the key; its names are ignored."""
    box_key: bytes
    """Raw X25519 public key to which study keys are wrapped."""
    endpoints: list[str]
    """HOST:PORT at which the member may be reached; empty behind NAT."""


@_message(65)
@frozen
class Enrolled(Reply):
    """All that a member needs: see p2pacs/identity/node.py."""

    id: int
    certificate: bytes
    authority: bytes
    """The authority's certificate (DER); its SHA-256 is in the token."""
    broker_key: bytes
    """Raw Ed25519 public key that signs manifests and the directory."""
    directory: bytes
    """The signed member directory, the new member included."""
    settings: bytes
    """msgpack map of what the administrator set: name, role, uplink, downlink (bit/s)."""


@_message(66)
@frozen
class AuthorityCertificate(Message):
    """First message on an enrolment's channel, from the broker, before anything is asked.

    The new member compares it with the token, then dials again and trusts this alone.
    """

    certificate: bytes
    """The authority's certificate (DER)."""
