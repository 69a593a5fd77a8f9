"""What the mesh asks of others is what these give: the same methods, with the same parameters."""

import inspect

import pytest

from p2pacs.identity.book import DirectoryBook
from p2pacs.mesh.dialling import TlsTransport
from p2pacs.mesh.interfaces import Events, Members, Transport
from p2pacs.swarm.host import Host


@pytest.mark.parametrize(
    ("asked", "given"), [(Transport, TlsTransport), (Members, DirectoryBook), (Events, Host)]
)
def test_they_give_what_is_asked(asked: type, given: type) -> None:
    names = [name for name, what in vars(asked).items() if inspect.isfunction(what)]
    for name in (name for name in names if not name.startswith("_")):
        wanted = inspect.signature(getattr(asked, name)).parameters
        assert list(inspect.signature(getattr(given, name)).parameters) == list(wanted), name
