"""The accepting end; floods are in test_listener."""

import threading
import time
from collections.abc import Iterator

import pytest
import structlog
from pynetdicom import AE
from pynetdicom.transport import AssociationServer

from p2pacs.dimse.association.association import Association
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.server import connections
from p2pacs.dimse.server.association_limits import AssociationLimits
from p2pacs.dimse.server.connections import Server
from tests.components import HOST

BOUNDS = DimseTuning(connections=2, kept_connections=0)


@pytest.fixture
def limits() -> AssociationLimits:
    return AssociationLimits(tuning=BOUNDS)


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def server(limits: AssociationLimits, now: list[float]) -> Iterator[Server]:
    one = Server(
        AE("GATEWAY"),
        (HOST, 0),
        handlers=[],
        services={},
        largest_data_set=1000,
        limits=limits,
        tuning=BOUNDS,
        clock=lambda: now[0],
    )
    yield one
    one.server_close()


def test_a_flood_does_not_fill_the_log(server: Server, now: list[float]) -> None:
    with structlog.testing.capture_logs() as logs:
        came = [server.verify_request(None, ("10.0.0.9", 1)) for _ in range(1000)]
        most = came.count(False)  # the first was told at once, and one more is to come
        now[0] += 61
        server.verify_request(None, ("10.0.0.9", 1))
    assert [entry["connections"] for entry in logs] == [1, most]


def test_a_connection_that_cannot_be_served_gives_its_place_back(
    server: Server, limits: AssociationLimits
) -> None:
    for _ in range(5):
        assert server.verify_request(None, ("10.0.0.9", 1))
        server.handle_error(None, ("10.0.0.9", 1))  # as no thread or descriptor was to be had
    assert len(limits) == 0


def test_an_association_gives_its_place_back_when_it_ends(
    server: Server, limits: AssociationLimits
) -> None:
    assert server.verify_request(None, ("10.0.0.9", 1))
    assoc = Association(AE("GATEWAY"), "acceptor")
    server.takes(assoc)
    assert server.may_associate(assoc)
    assert len(limits) == 1
    assoc.ended()
    assert len(limits) == 0
    assert not server.may_associate(assoc)


def test_without_descriptors_it_pauses_instead_of_trying_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: AssociationServer) -> None:
        raise OSError("too many open files")

    slept: list[float] = []
    ours, real = threading.get_ident(), time.sleep

    def sleep(seconds: float) -> None:  # threads of tests before may not have ended yet
        if threading.get_ident() == ours:
            slept.append(seconds)
        else:
            real(seconds)

    monkeypatch.setattr(AssociationServer, "get_request", full)
    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(OSError, match="too many"):
        server.get_request()
    assert slept == [connections._FULL_SECONDS]
