"""Our message queue under pynetdicom: bounded, and patient while something comes."""

import queue
import threading
import time

import pytest

from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.association.upper_layer import Dimse
from p2pacs.errors import PacsUnreachableError
from tests.p2pacs.dimse.association.test_bounded_socket import pair
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import series, study


def test_silence_is_counted_from_the_last_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = pair()
    with far:
        assoc = near.assoc
        assoc.set_socket(near)
        assoc.dimse_timeout = 10
        dimse = Dimse(assoc)
        clock, ours, real = iter([0.0, 5.0, 12.0, 30.0]), threading.get_ident(), time.monotonic

        def now() -> float:  # threads of tests before may not have ended yet
            return next(clock) if threading.get_ident() == ours else real()

        monkeypatch.setattr(time, "monotonic", now)
        monkeypatch.setattr(dimse.msg_queue, "get", _nothing_comes)
        near.last_activity = 8.0  # something came while the message was incomplete
        assert dimse.get_msg(block=True) == (None, None)
        assert list(clock) == []


def _nothing_comes(timeout: float) -> None:
    assert 0 < timeout <= 1
    raise queue.Empty


async def test_a_message_without_bounds_ends_the_association() -> None:
    bounds = DimseTuning(message_bytes=2000, pdu_bytes=4096)  # it is checked at each PDU
    backend = Scripted(series(1))
    async with serving(backend, tuning=bounds) as server:
        wide = study()
        wide.StudyInstanceUID = [f"1.2.{number}" for number in range(1000)]
        with pytest.raises(PacsUnreachableError, match="ended the association"):
            await client(server.port).find(wide)
        assert backend.asked == []
