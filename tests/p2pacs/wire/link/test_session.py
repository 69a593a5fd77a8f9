import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs import limits
from p2pacs.errors import BusyError, DiskFullError, MessageTooLongError, ProtocolError
from p2pacs.wire.link.session import (
    FOREIGN,
    TRANSITIONS,
    LinkSession,
    LinkState,
    Sort,
    failure,
    reply_to,
    sort_of,
)
from p2pacs.wire.messages.codec import CODECS, decode, encode
from p2pacs.wire.messages.messages import (
    PROTOCOL,
    Announce,
    AuthorityCertificate,
    CatalogueNews,
    DirectoryAnswer,
    DirectoryQuery,
    Hello,
    Join,
    Leave,
    Manifest,
    ManifestNews,
    ManifestQuery,
    Message,
    Ping,
    Pong,
    Query,
    QueryFailure,
    Replicate,
    Reply,
)
from tests.p2pacs.wire.strategies import any_message

HELLO = Hello(PROTOCOL, "test", 0)
STUDY = bytes(16)


def opened() -> LinkSession:
    session = LinkSession()
    session.send(HELLO)
    assert take(session, HELLO) == [HELLO]
    return session


def take(session: LinkSession, *messages: Message) -> list[Message]:
    return list(session.receive(b"".join(map(encode, messages))))


def automatic(session: LinkSession) -> list[Message]:
    return [decode(frame[4:]) for frame in session.automatic()]


def test_hello_comes_first_in_both_directions() -> None:
    session = LinkSession()
    with pytest.raises(ProtocolError, match="CatalogueNews"):
        session.send(CatalogueNews(1))
    with pytest.raises(ProtocolError):
        take(session, CatalogueNews(1))
    assert take(opened(), CatalogueNews(1)) == [CatalogueNews(1)]


def test_hello_comes_once() -> None:
    with pytest.raises(ProtocolError):
        take(opened(), HELLO)


def test_another_protocol_is_refused_with_advice() -> None:
    with pytest.raises(ProtocolError, match="update the older"):
        take(LinkSession(), Hello(PROTOCOL + 1, "x", 0))


def test_before_hello_messages_are_short() -> None:
    big = ManifestNews(STUDY, bytes(limits.HANDSHAKE_FRAME_BYTES))
    with pytest.raises(MessageTooLongError):
        take(LinkSession(), big)
    assert take(opened(), big) == [big]
    session = LinkSession()
    assert take(session, HELLO, big) == [HELLO, big]


def test_nothing_follows_the_last_word() -> None:
    session = opened()
    last = QueryFailure(0, 17, "bye")
    assert take(session, last) == [last]
    with pytest.raises(ProtocolError):
        take(session, CatalogueNews(1))
    session.send(last)
    with pytest.raises(ProtocolError):
        session.send(CatalogueNews(1))


def test_the_last_word_may_be_the_only_one() -> None:
    last = QueryFailure(0, 18, "revoked")
    assert take(LinkSession(), last) == [last]


@pytest.mark.parametrize("kind", FOREIGN)
def test_enrolment_has_no_place_on_a_link(kind: type[Message]) -> None:
    assert kind in {codec.kind for codec in CODECS.values()}
    with pytest.raises(ProtocolError, match="AuthorityCertificate"):
        take(opened(), AuthorityCertificate(b""))


def test_replies_match_their_queries() -> None:
    session = opened()
    first, _ = session.ask(ManifestQuery(0, STUDY, 0))
    second, frame = session.ask(DirectoryQuery(99, 3))
    assert decode(frame[4:]) == DirectoryQuery(second, 3)
    replies = [DirectoryAnswer(second, b""), QueryFailure(first, 4, "nobody has it")]
    assert take(session, *replies) == replies
    with pytest.raises(ProtocolError, match="no open query"):
        take(session, DirectoryAnswer(second, b""))


def test_a_reply_of_another_kind_is_refused() -> None:
    session = opened()
    number, _ = session.ask(ManifestQuery(0, STUDY, 0))
    with pytest.raises(ProtocolError, match="does not answer"):
        take(session, DirectoryAnswer(number, b""))


def test_ping_is_answered_by_the_session_itself() -> None:
    session = opened()
    assert take(session, Ping(5), Ping(6)) == []
    assert automatic(session) == [Pong(5), Pong(6)]
    assert automatic(session) == []


def test_a_query_is_open_until_it_is_answered() -> None:
    session = opened()
    query = ManifestQuery(1, STUDY, 0)
    assert take(session, query) == [query]
    with pytest.raises(ProtocolError, match="twice"):
        take(session, query)
    session.send(Manifest(1, b""))
    assert take(session, query) == [query]


def test_a_reply_that_may_not_travel_leaves_the_query_open() -> None:
    session = opened()
    take(session, ManifestQuery(1, STUDY, 0))
    with pytest.raises(ProtocolError):
        session.send(Manifest(1, bytes(limits.ROOT_BYTES + 1)))
    with pytest.raises(ProtocolError, match="twice"):
        take(session, ManifestQuery(1, STUDY, 0))


def test_open_queries_are_bounded_in_both_directions() -> None:
    session = opened()
    queries = [ManifestQuery(number, STUDY, 0) for number in range(1, limits.OPEN_QUERIES + 3)]
    assert take(session, *queries) == queries[: limits.OPEN_QUERIES]
    refused = [reply for reply in automatic(session) if isinstance(reply, QueryFailure)]
    assert [reply.id for reply in refused] == [65, 66]
    assert {reply.code for reply in refused} == {BusyError.wire_code}
    for query in queries[: limits.OPEN_QUERIES]:
        session.ask(query)
    with pytest.raises(BusyError):
        session.ask(queries[0])
    session.ask(Ping(0))


def test_joined_studies_are_bounded() -> None:
    session = opened()
    studies = [number.to_bytes(16, "big") for number in range(limits.JOINED_STUDIES + 1)]
    for study in studies[:-1]:
        take(session, Join(study, 0, b"", False, 0, False))
    take(session, Leave(studies[0]), Join(studies[-1], 0, b"", False, 0, False))
    with pytest.raises(ProtocolError, match="joined"):
        take(session, Join(studies[0], 0, b"", False, 0, False))


def test_the_table_says_all_that_may_be_said() -> None:
    assert {state for state, _ in TRANSITIONS} == {LinkState.GREETING, LinkState.OPEN}
    assert sort_of(QueryFailure(0, 1, "")) is Sort.FAREWELL
    assert sort_of(QueryFailure(1, 1, "")) is Sort.REPLY
    assert sort_of(Announce(STUDY, 1, True, True)) is Sort.NEWS


def test_every_query_has_its_reply() -> None:
    kinds = [codec.kind for codec in CODECS.values() if issubclass(codec.kind, Query)]
    for kind in kinds:
        assert issubclass(reply_to(kind), Reply)


@given(st.lists(any_message, max_size=8), st.binary(max_size=20), st.booleans())
def test_whatever_comes_only_protocol_errors_come_out(
    messages: list[Message], garbage: bytes, greet: bool
) -> None:
    session = opened() if greet else LinkSession()
    try:
        take(session, *messages)
        list(session.receive(garbage))
    except ProtocolError:
        pass
    automatic(session)


def test_replicate_is_news() -> None:
    assert take(opened(), Replicate(STUDY)) == [Replicate(STUDY)]


def test_any_error_can_travel() -> None:
    error = DiskFullError("no room for \udcff" + "x" * 2000)
    told = decode(encode(failure(3, error))[4:])
    assert isinstance(told, QueryFailure)
    assert told.id == 3
    assert told.code == DiskFullError.wire_code
    assert told.text.startswith("no room for ?x")


def test_who_asks_above_the_limit_for_ever_breaks_the_protocol() -> None:
    session = opened()
    take(
        session,
        *[DirectoryQuery(n + 1, 0) for n in range(limits.OPEN_QUERIES + limits.REFUSED_QUERIES)],
    )
    with pytest.raises(ProtocolError, match="for ever"):
        take(session, DirectoryQuery(1000, 0))
