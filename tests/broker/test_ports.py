"""The real parts fit where the services put them; the type checker reads these functions."""

import pytest

from broker.ports import Directories, Proofs, Stages, Voice
from broker.publish import Publisher
from p2pacs.identity.book import DirectoryBook
from p2pacs.swarm.cache import Cache
from p2pacs.swarm.node import Node


def directories(book: DirectoryBook) -> Directories:
    return book


def proofs(cache: Cache) -> Proofs:
    return cache


def stages(publisher: Publisher) -> Stages:
    return publisher


def voice(node: Node) -> Voice:
    return node


@pytest.mark.parametrize(
    ("port", "part"),
    [(Proofs, Cache), (Stages, Publisher), (Voice, Node)],
)
def test_every_method_is_there(port: type, part: type) -> None:
    asked = {name for name in vars(port) if not name.startswith("_")}
    assert asked
    assert asked <= set(dir(part))
