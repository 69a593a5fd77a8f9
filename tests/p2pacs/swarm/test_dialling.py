from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.errors import AuthenticationError, NoSourceError
from p2pacs.identity.directory import Role
from p2pacs.swarm.dialling import TlsTransport
from p2pacs.swarm.paced import Line
from p2pacs.units import Endpoint
from tests.p2pacs.identity.network import record_of
from tests.p2pacs.swarm.nodes import LAN, Nodes


def transport_of(nodes: Nodes, line: Line, *listen: str) -> TlsTransport:
    endpoints = [Endpoint.parse(text) for text in listen]
    return TlsTransport(nodes.network.broker, nodes.books[0], line, endpoints)


async def test_a_member_behind_nat_cannot_be_dialled(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        behind = nodes.network.member("behind")
        record = record_of(behind)
        transport = transport_of(nodes, Line())
        with pytest.raises(NoSourceError, match="dial itself"):
            await transport.connect(evolve(record, endpoints=()))


async def test_somebody_else_at_the_address_is_refused(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        await nodes.add("one")
        record = record_of(nodes.network.member("other"))
        wrong = evolve(record, endpoints=nodes.records[1].endpoints)
        with pytest.raises(AuthenticationError), trio.fail_after(10):
            await transport_of(nodes, Line()).connect(wrong)


async def test_the_dialler_comes_from_the_side_that_it_dials(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        both = transport_of(nodes, Line(lan=LAN), "127.0.0.7:1", "127.0.1.7:1")
        assert both._source("127.0.1.9") == "127.0.1.7"
        assert both._source("127.0.0.9") == "127.0.0.7"
        assert both._source("a.name") == "127.0.0.7"
        assert transport_of(nodes, Line(), "0.0.0.0:1")._source("127.0.0.9") is None
