"""Accounts in a database in memory, without a worker thread; passwords that are cheap to hash."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
import trio
from argon2 import PasswordHasher
from attrs import frozen
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool

from p2pacs.accounts.passwords import Passwords
from p2pacs.accounts.tables import metadata

T = TypeVar("T")


class CheapPasswords(Passwords):
    """Checks without a thread, so that virtual time stands still meanwhile."""

    async def check(self, stored: str | None, password: str) -> bool:
        await trio.lowlevel.checkpoint()
        return self.matches(stored, password)


CHEAP = CheapPasswords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@frozen
class MemoryDatabase:
    engine: Engine

    async def run(self, work: Callable[[Connection], T]) -> T:
        await trio.lowlevel.checkpoint()
        with self.engine.begin() as connection:
            return work(connection)


@pytest.fixture
def database() -> Iterator[MemoryDatabase]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    metadata.create_all(engine)
    yield MemoryDatabase(engine)
    engine.dispose()


@pytest.fixture
def connection(database: MemoryDatabase) -> Iterator[Connection]:
    with database.engine.begin() as connection:
        yield connection
