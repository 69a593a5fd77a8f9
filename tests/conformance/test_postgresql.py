"""The broker's tables and statements on a real PostgreSQL: what SQLite takes, it takes, too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import msgpack
import pytest
from alembic import command
from argon2 import PasswordHasher
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DatabaseError

from broker.config import DAY
from broker.database.db import bump, lock_counter, migrations, now, read_counter
from broker.handlers import grants
from broker.handlers.reported_reads import keep_reported, of_report
from broker.members import corrections, presence, registry, traffic
from broker.study_keys import StudyKeys
from broker.trail import audit
from broker.trail import search as trail
from p2pacs.accounts import known_places
from p2pacs.accounts.one_time import code_at
from p2pacs.accounts.passwords import Passwords
from p2pacs.accounts.people import add_account, set_password, stored_hash
from p2pacs.accounts.second_factor import enable, take_code
from p2pacs.accounts.sessions import Sessions
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import AuthenticationError, NotFoundError, UsageError
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import BoxKey, Secret, StudyKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.wire.messages.received import Received
from tests import components
from tests.p2pacs.catalogue.samples import study

pytestmark = pytest.mark.postgresql

T = TypeVar("T")

GOOD = 7 * DAY * 1000
BROKERS = [VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2)]
NORTH, SOUTH = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (8, 9))


class Postgresql:
    """What the broker's parts need of a database, in threads or in tasks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        with self.writing() as connection:
            return work(connection)

    async def run(self, work: Callable[[Connection], T]) -> T:
        return self.transact(work)

    persist = run


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with components.postgresql() as address:
        yield address


@pytest.fixture
def database(address: str) -> Iterator[Any]:
    """With the tables of today; none afterwards."""
    engine = create_engine(address, pool_size=8)
    opened = Postgresql(engine)
    opened.transact(lambda c: command.upgrade(migrations(c), "head"))
    yield opened
    opened.transact(lambda c: command.downgrade(migrations(c), "base"))
    left = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    names = opened.transact(lambda c: set(c.execute(text(left)).scalars()))
    assert names == {"alembic_version", "alembic_version_pkc"}
    engine.dispose()


def test_the_tables_are_those_that_migrations_build(database: Any) -> None:
    database.transact(lambda c: command.check(migrations(c)))


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET outcome = 'no'", "DELETE FROM audit", "TRUNCATE audit"]
)
def test_the_audit_trail_is_append_only(database: Any, change: str) -> None:
    database.transact(lambda c: audit.record(c, audit.Entry("w", "anna")))
    with pytest.raises(DatabaseError, match="append-only"):
        database.transact(lambda c: c.execute(text(change)))
    assert [entry.actor for entry in database.transact(audit.read)] == ["anna"]


def _together(works: list[Callable[[], None]]) -> None:
    failed: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_no_version_is_given_twice_by_brokers_at_once(database: Any) -> None:
    given: list[int] = []
    before = now()

    def broker() -> None:
        given.extend(database.transact(lambda c: bump(c, "directory")) for _ in range(50))

    _together([broker] * 4)
    assert len(set(given)) == 200
    assert min(given) > before - 1_000, "the clock of the database, on this machine"
    assert database.transact(lambda c: read_counter(c, "directory")) == max(given)


def test_while_a_directory_is_built_nobody_takes_its_number(database: Any) -> None:
    def take_at_once(connection: Connection) -> int:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        return bump(connection, registry.DIRECTORY)

    database.transact(take_at_once)
    with database.writing() as one:
        version = lock_counter(one, registry.DIRECTORY)
        with pytest.raises(DatabaseError, match="lock timeout"):
            database.transact(take_at_once)
        assert read_counter(one, registry.DIRECTORY) == version
    assert database.transact(lambda c: bump(c, registry.DIRECTORY)) > version


def test_who_follows_brokers_that_write_at_once_misses_nothing(database: Any) -> None:
    """A serial column would lose what is committed after a greater number."""
    indexes = [CatalogueIndex(database) for _ in range(3)]
    seen: list[bytes] = []
    over = threading.Event()

    def writes(number: int) -> None:
        for at in range(40):
            indexes[number].upsert([study(1000 * number + at)])

    def follows() -> None:
        position, index, last = indexes[0].seq, indexes[0], False
        while not last:
            last = over.is_set()
            page = index.since(position)
            assert not page.reset
            seen.extend(bytes(entry.study) for entry in page.entries)
            position = page.until

    follower = threading.Thread(target=follows)
    follower.start()
    try:
        _together([lambda: writes(0), lambda: writes(1), lambda: writes(2)])
    finally:
        over.set()
        follower.join()
    assert set(seen) == {bytes(study(1000 * n + at).study) for n in range(3) for at in range(40)}


def test_the_catalogue_and_its_feed(database: Any) -> None:
    index = CatalogueIndex(database)
    position = index.upsert([study(1), study(2)])
    index.upsert([study(1, patient="P2")])
    last = index.remove([study(2).study])
    index.set_vocabulary(3)
    assert index.by_uid("1.2.1") == index.get(study(1).study) == study(1, patient="P2")
    assert index.former(study(1).study) == [study(1)]
    assert (len(index), index.vocabulary, dict(index.uids())) == (1, 3, {"1.2.1": study(1).study})
    page = index.since(position)
    assert (len(page.entries), page.until, page.reset) == (2, last, False)
    again = CatalogueIndex(database)
    assert again.known == index.known
    assert not again.since(position).reset
    assert again.since(again.seq - 1).reset, "passed over at the opening"


def test_members_from_registration_to_revocation(database: Any) -> None:
    wanted = registry.Registration("Krankenhaus Süd", Role.HOSPITAL, None, 10_000_000_000, "all")

    def register(connection: Connection) -> Secret:
        return registry.register(
            connection, SOUTH, wanted, token_milliseconds=GOOD, reserved="broker"
        )

    secret = database.transact(register)
    with pytest.raises(UsageError, match="already"):
        database.transact(register)
    member = database.transact(lambda c: registry.find_member(c, "Krankenhaus Süd"))
    renamed = registry.Registration("South", Role.HOSPITAL, 5, None, "all")
    assert database.transact(lambda c: corrections.correct(c, member, renamed))
    assert database.transact(lambda c: registry.redeem(c, secret)).name == "South"
    with pytest.raises(AuthenticationError):
        database.transact(lambda c: registry.redeem(c, secret))
    box = BoxKey.generate()
    database.transact(
        lambda c: registry.join(
            c,
            SOUTH,
            key_hash=b"k" * 32,
            box_key=box.public,
            endpoints=["10.0.0.1:1"],
            certificate_expires=now() + 10**9,
        )
    )
    database.transact(lambda c: registry.change_rule(c, SOUTH, "Modality=CT"))
    for broker in BROKERS:
        for _ in range(2):
            database.transact(lambda c, b=broker: presence.seen(c, b, SOUTH, linked=True))
    database.transact(lambda c: presence.seen(c, BROKERS[0], SOUTH, linked=False))
    (listed,) = database.transact(registry.list_members)
    assert (listed.linked, listed.read, listed.read_version) == (True, "Modality=CT", 1)
    database.transact(lambda c: presence.none_linked(c, BROKERS[1]))
    assert not database.transact(lambda c: registry.get_member(c, SOUTH)).linked
    database.transact(lambda c: registry.renewed(c, SOUTH, now()))
    database.transact(lambda c: registry.renew_token(c, SOUTH, token_milliseconds=GOOD))
    assert database.transact(lambda c: registry.revoke(c, SOUTH))
    assert not database.transact(lambda c: registry.revoke(c, SOUTH))
    database.transact(
        lambda c: registry.register(
            c,
            NORTH,
            registry.Registration("North", Role.REPLICA, None, None, "none"),
            token_milliseconds=GOOD,
        )
    )
    north = database.transact(lambda c: registry.get_member(c, NORTH))
    database.transact(lambda c: corrections.remove(c, north))
    with pytest.raises(NotFoundError):
        database.transact(lambda c: registry.get_member(c, NORTH))


async def test_study_keys_grants_and_reports(database: Any) -> None:
    wanted = registry.Registration("South", Role.HOSPITAL, None, None, "all")
    database.transact(lambda c: registry.register(c, SOUTH, wanted, token_milliseconds=GOOD))
    box = BoxKey.generate()
    database.transact(
        lambda c: registry.join(
            c, SOUTH, key_hash=b"k", box_key=box.public, endpoints=[], certificate_expires=now()
        )
    )
    studies = StudyKeys(database, Secret(b"s" * 32), BoxKey.generate())
    key: StudyKey = await studies.ensure("1.2.1")
    assert (await studies.ensure("1.2.1")).reveal() == key.reveal()
    record = study(1)
    of_network = studies.id_of("1.2.1")
    await studies.published(of_network, 3, complete=False)
    assert await studies.unfinished() == ["1.2.1"]
    found = await studies.find(of_network)
    assert found is not None
    assert (found.version, found.complete) == (3, False)

    who = database.transact(lambda c: grants.asking_member(c, SOUTH))
    for _ in range(2):
        database.transact(lambda c: grants.entrust(c, who, [record]))
    database.transact(lambda c: grants.grant(c, studies, who, record, "C-MOVE"))
    database.transact(lambda c: grants.refuse(c, who, record, "C-MOVE"))
    told = [
        msgpack.packb({"study": of_network.raw, "caller": "WS", "purpose": "read", "time": time})
        for time in (now(), 1)
    ]
    for _ in range(2):
        reported = of_report(told, who.member)
        database.transact(lambda c, r=reported: keep_reported(c, SOUTH, r))
    entries = database.transact(lambda c: audit.read(c, member="South"))
    kinds = sorted(entry.what for entry in entries)
    assert kinds == [grants.ENTRUSTED, *[grants.GRANTED] * 2, *["study read"] * 2]
    read = database.transact(lambda c: audit.read(c, uid="1.2.1", member=str(SOUTH), most=2))
    assert [entry.what for entry in read] == ["study read"] * 2


def test_the_trail_is_searched(database: Any) -> None:
    at = {"North": NORTH, "South": SOUTH}
    entries = [
        audit.Entry("study read", name, address, time=n, person="WS1", outcome=audit.FAILED)
        for name, address in at.items()
        for n in range(3)
    ]
    database.transact(lambda c: audit.record(c, *entries))
    search = trail.TrailSearch(member="South", person="WS1", outcome="failed", since=1)
    page = database.transact(lambda c: trail.read_trail(c, search, most=1))
    assert page.entries == entries[:-2:-1]
    rest = database.transact(lambda c: trail.read_trail(c, search, page.next))
    assert rest.entries == [entries[4]]
    everything = database.transact(lambda c: trail.read_trail(c, trail.TrailSearch()))
    assert len(everything.entries) == len(entries)


def test_what_was_received_is_added_up(database: Any) -> None:
    hour, of_study = now() // traffic.HOUR * traffic.HOUR, StudyId(bytes(16))
    for serial in (1, 2, 2):
        report = [Received(hour, of_study, NORTH, 10, serial)]
        database.transact(lambda c, r=report: traffic.keep_received(c, SOUTH, r))
    for step in traffic.Step:
        read = partial(traffic.flows, step=step, since=0, until=2 * hour, member=NORTH)
        (flow,) = database.transact(read)
        assert (flow.receiver, flow.giver, flow.bytes) == (SOUTH.raw, NORTH.raw, 20)
        busiest = partial(traffic.busiest_studies, step=step, since=0, until=2 * hour)
        assert database.transact(busiest) == [traffic.StudyFlow(of_study, 20)]


def test_accounts_and_sessions(database: Any) -> None:
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    database.transact(lambda c: add_account(c, "anna", "a sentence is good", "auditor", cheap))
    database.transact(lambda c: set_password(c, "anna", "another sentence", cheap))
    stored = database.transact(lambda c: stored_hash(c, "anna"))
    assert cheap.matches(stored, "another sentence")
    codes = database.transact(lambda c: enable(c, "anna", bytes(20), 0))
    for code, good in ((codes[0], True), (codes[0], False), (code_at(bytes(20), 2), True)):
        assert database.transact(lambda c, code=code: take_code(c, "anna", code, 60_000)) is good
    sessions = Sessions(idle=60_000, longest=600_000)
    token = database.transact(lambda c: sessions.start(c, "anna"))
    later = Sessions(idle=60_000, longest=600_000, clock=lambda: now() + 40_000)
    session = database.transact(lambda c: later.find(c, token))
    assert session is not None
    assert session.account == "anna"
    for at in range(known_places.MOST + 5):
        place = known_places.network("anna", str(at))
        for _ in range(2):
            database.transact(lambda c, p=place, at=at: known_places.remember(c, "anna", p, now()))
    assert database.transact(lambda c: known_places.is_known(c, place, now()))
