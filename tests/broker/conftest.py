"""A broker's database, authority and identity in a temporary folder."""

import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import frozen
from sqlalchemy import Connection

from broker.config import DAY
from broker.database.db import BrokerDatabase, connect, migrate, open_database
from broker.members import registry
from broker.members.directory import DirectoryKeeper, broker_record
from p2pacs.identity.authority import Authority
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import Secret, SigningKey
from p2pacs.identity.node import NodeIdentity, make_request
from p2pacs.units import Endpoint


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", "a network")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database: copying it takes a tenth of the time that building it does."""
    path = tmp_path_factory.mktemp("migrated") / "broker.db"
    migrate(path)
    return path


@pytest.fixture
async def database(tmp_path: Path, migrated: Path) -> AsyncIterator[BrokerDatabase]:
    shutil.copy(migrated, tmp_path / "broker.db")
    async with open_database(tmp_path / "broker.db") as database:
        yield database


@pytest.fixture
def connection(tmp_path: Path, migrated: Path) -> Iterator[Connection]:
    """An open transaction."""
    shutil.copy(migrated, tmp_path / "plain.db")
    with connect(tmp_path / "plain.db").writing() as connection:
        yield connection


@frozen
class Ground:
    """What the broker's parts stand on."""

    database: BrokerDatabase
    authority: Authority
    identity: NodeIdentity
    key: SigningKey
    book: DirectoryBook
    keeper: DirectoryKeeper
    path: Path
    """Of the database."""

    async def register(
        self, name: str, *, role: Role = Role.HOSPITAL, read: str = "all"
    ) -> tuple[registry.Member, Secret]:
        """Register a member."""
        registration = registry.Registration(name, role, 800_000, 3_000_000, read)
        address = self.authority.new_address()
        secret = await self.database.run(
            lambda c: registry.register(c, address, registration, token_milliseconds=7 * DAY * 1000)
        )
        member = await self.database.run(lambda c: registry.get_member(c, address))
        return member, secret


@pytest.fixture
async def ground(tmp_path: Path, database: BrokerDatabase, authority: Authority) -> Ground:
    key = SigningKey.generate()
    folder = tmp_path / "identity"
    request = make_request(folder)
    address = authority.new_address()
    identity = NodeIdentity.create(
        folder,
        name="broker",
        certificate=authority.issue(request, address, "broker", lifetime=timedelta(days=1)),
        authority=authority.certificate,
        broker=address,
        broker_key=key.public,
    )
    book = DirectoryBook(folder / "directory", key.public)
    me = broker_record(identity, "broker", [Endpoint("127.0.0.1", 4710)])
    keeper = DirectoryKeeper(database, book, key, me)
    return Ground(database, authority, identity, key, book, keeper, tmp_path / "broker.db")
