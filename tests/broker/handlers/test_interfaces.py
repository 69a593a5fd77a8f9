"""The real parts fit where the services put them; the type checker reads these functions."""

import pytest

from broker.handlers.interfaces import Directories, Proofs, Stages, Voice
from broker.publish import Publisher
from p2pacs.identity.book import DirectoryBook
from p2pacs.retention.recycler import Recycler
from p2pacs.swarm.node import Node


def directories(book: DirectoryBook) -> Directories:
    return book


def proofs(cache: Recycler) -> Proofs:
    return cache


def stages(publisher: Publisher) -> Stages:
    return publisher


def voice(node: Node) -> Voice:
    return node


@pytest.mark.parametrize(
    ("port", "part"),
    [(Proofs, Recycler), (Stages, Publisher), (Voice, Node)],
)
def test_every_method_is_there(port: type, part: type) -> None:
    asked = {name for name in vars(port) if not name.startswith("_")}
    assert asked
    assert asked <= set(dir(part))
