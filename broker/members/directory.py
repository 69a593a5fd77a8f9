"""The member directory: built from the registry, signed, and kept up to date while the broker runs.

The registry may be changed by another program (``p2pacs broker revoke``), so a running
broker looks at the registry's counter several times a second: one row by its key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog
import trio
from sqlalchemy import Connection

from broker.config import DAY
from broker.database.db import BrokerDatabase, bump, lock_counter, now, read_counter
from broker.members.registry import DIRECTORY, EPOCH, Member, list_members
from p2pacs.errors import P2PacsError
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import BrokerKey, Directory, MemberRecord, Role, sign_directory
from p2pacs.identity.keys import SigningKey
from p2pacs.identity.node import NodeIdentity
from p2pacs.units import Endpoint

log = structlog.get_logger(__name__)

EVERY: Final = 0.5
"""Seconds between two looks at the registry."""

_LINGER: Final = DAY * 1000
"""Milliseconds that a revoked member stays listed after its certificate has ended: then TLS
refuses it everywhere, whatever the clocks."""


def broker_record(identity: NodeIdentity, name: str, endpoints: Iterable[Endpoint]) -> MemberRecord:
    """The broker itself as a member."""
    return MemberRecord(
        address=identity.address,
        name=name,
        role=Role.BROKER,
        endpoints=tuple(str(endpoint) for endpoint in endpoints),
        key_hash=identity.key_hash,
        box_key=identity.box_key.public,
    )


def listed(members: Iterable[Member], at: int) -> tuple[MemberRecord, ...]:
    """The registry's members as the directory lists them: those that have joined.

    Args:
        members: of the registry.
        at: milliseconds since 1970.
    """
    return tuple(
        MemberRecord(
            address=member.address,
            name=member.name,
            role=member.role,
            endpoints=member.endpoints,
            key_hash=member.key_hash,
            box_key=member.box_key,
            revoked=member.revoked is not None,
        )
        for member in members
        if member.key_hash is not None
        and member.box_key is not None
        and not (member.revoked and at > (member.certificate_expires or 0) + _LINGER)
    )


class DirectoryKeeper:
    """Keeps the broker's own directory book equal to the registry."""

    def __init__(
        self, database: BrokerDatabase, book: DirectoryBook, key: SigningKey, me: MemberRecord
    ) -> None:
        self._database = database
        self._book = book
        self._key = key
        self._me = me
        self._my_key = BrokerKey(me.address, key.public.raw)
        self._one = trio.Lock()

    async def refresh(self) -> bool:
        """Sign a new directory if the registry (or the broker's own record) has changed.

        Listeners of the book hear of it before this returns; whether it has changed.
        """
        async with self._one:
            version = await self._database.run(lambda c: read_counter(c, DIRECTORY))
            held = self._book.directory
            mine = self._me in held.members and self._my_key in held.broker_keys
            if version == held.version and mine:
                return False
            directory = await self._database.run(self._build)
            raw = sign_directory(directory, self._key)
            changed = self._book.update(raw)
        log.info("directory", version=directory.version, members=len(directory.members))
        return changed

    def _build(self, connection: Connection) -> Directory:
        version = lock_counter(connection, DIRECTORY)  # or another broker takes it meanwhile
        members = (self._me, *listed(list_members(connection), now()))
        keys, held = (self._my_key,), self._book.directory
        changed = (members, keys) != (held.members, held.broker_keys)
        if version < held.version or (version == held.version and changed):
            # A restored backup, or changed without the registry: the broker's endpoints.
            version = bump(connection, DIRECTORY, above=held.version)
        return Directory(version, read_counter(connection, EPOCH), members, keys)

    async def watch(self, every: float = EVERY) -> None:
        """Follow the registry for ever, with so many seconds between two looks."""
        while True:
            try:
                await self.refresh()
            except P2PacsError as error:
                log.warning("directory not refreshed", error=str(error))
            await trio.sleep(every)
