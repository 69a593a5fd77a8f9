"""The real parts fit where the services put them; the type checker reads these functions."""

import pytest

from broker.handlers.interfaces import Directories, MemberLinks, PossessionProver, StudyPublisher
from broker.publish import Publisher
from p2pacs.identity.book import DirectoryBook
from p2pacs.retention.recycler import Recycler
from p2pacs.swarm.host import Host


def directories(book: DirectoryBook) -> Directories:
    return book


def proofs(cache: Recycler) -> PossessionProver:
    return cache


def publisher(publisher: Publisher) -> StudyPublisher:
    return publisher


def links(host: Host) -> MemberLinks:
    return host


@pytest.mark.parametrize(
    ("port", "part"),
    [(PossessionProver, Recycler), (StudyPublisher, Publisher), (MemberLinks, Host)],
)
def test_every_method_is_there(port: type, part: type) -> None:
    asked = {name for name in vars(port) if not name.startswith("_")}
    assert asked
    assert asked <= set(dir(part))
