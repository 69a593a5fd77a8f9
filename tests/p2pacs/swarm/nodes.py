"""Real nodes on the loopback: TLS, certificates, stores on disk."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import trio
from attrs import evolve

from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Directory, MemberRecord, Role, sign_directory
from p2pacs.identity.node import NodeIdentity
from p2pacs.store.store import ChunkStore, open_store
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import Endpoint
from p2pacs.wire.enrolment.serving import EnrolHandler
from tests.components import free_port
from tests.p2pacs.identity.network import Network, record_of

LAN = (ipaddress.ip_network("127.0.1.0/24"),)


class Nodes:
    """A network of nodes; an async context manager that ends them all."""

    def __init__(self, folder: Path) -> None:
        self.network = Network.create(folder)
        self.records: list[MemberRecord] = []
        self.books: list[DirectoryBook] = []
        self.stores: dict[str, ChunkStore] = {}
        self.nursery: trio.Nursery
        self._version = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.nursery = await self._stack.enter_async_context(trio.open_nursery())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.nursery.cancel_scope.cancel()
        await self._stack.__aexit__(kind, error, trace)

    def publish(self) -> None:
        """Sign the directory anew, and give it to all."""
        self._version += 1
        directory = Directory(self._version, self._version, tuple(self.records))
        for book in self.books:
            book.update(sign_directory(directory, self.network.signing))

    def revoke(self, node: Node) -> None:
        self.records = [
            evolve(record, revoked=True) if record.address == node.identity.address else record
            for record in self.records
        ]
        self.publish()

    async def replace(self, node: Node, identity: NodeIdentity) -> Node:
        """The member enrols anew: from now on the directory has the key of ``identity``."""
        self.records = [
            evolve(record, key_hash=identity.key_hash, box_key=identity.box_key.public)
            if record.address == node.identity.address
            else record
            for record in self.records
        ]
        book = DirectoryBook(identity.folder / "directory", identity.broker_key)
        self.books.append(book)
        self.publish()
        opened = open_store(identity.folder / "store", capacity=None)
        store = await self._stack.enter_async_context(opened)
        renewed = Node(identity, book, store, Line(), Services(), [], None)
        await self.nursery.start(renewed.run)
        return renewed

    async def add(
        self,
        name: str,
        role: Role = Role.HOSPITAL,
        *,
        line: Line | None = None,
        services: Services | None = None,
        host: str = "127.0.0.1",
        lan: str | None = None,
        extra: tuple[str, ...] = (),
        enrol: EnrolHandler | None = None,
    ) -> Node:
        """A further node; ``lan`` is its second address, ``extra`` endpoints lead nowhere."""
        identity: NodeIdentity = (
            self.network.broker if role is Role.BROKER else self.network.member(name)
        )
        listen = [Endpoint(one, free_port(one)) for one in (host, lan) if one]
        record = evolve(record_of(identity, role), name=name, endpoints=(*extra, *map(str, listen)))
        self.records.append(record)
        book = DirectoryBook(identity.folder / "directory", identity.broker_key)
        self.books.append(book)
        self.publish()
        store = await self._stack.enter_async_context(
            open_store(identity.folder / "store", capacity=None)
        )
        self.stores[name] = store
        node = Node(identity, book, store, line or Line(), services or Services(), listen, enrol)
        await self.nursery.start(node.run)
        return node


def totals(sources: Mapping[object, int]) -> int:
    return sum(sources.values())
