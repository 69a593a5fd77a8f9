"""Reports to a scanner (pynetdicom as it is) that answers, refuses, hangs or hangs up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from p2pacs.dimse.association.association import Association, release
from p2pacs.dimse.association.contexts import COMMITMENT, VERIFICATION
from p2pacs.dimse.association.event_report import send_commitment_event
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.commitment import CommitmentReport, Reference, write_report
from p2pacs.errors import DeadlineError, PacsRefusedError, PacsUnreachableError
from tests.components import HOST
from tests.p2pacs.dimse.samples import CT, EXPLICIT

INFORMATION = write_report(CommitmentReport("1.9", (Reference(CT, "1.2.3"),)))


@contextmanager
def association(
    heard: Callable[[evt.Event], tuple[int, Dataset | None]], service: str = COMMITMENT
) -> Iterator[Association]:
    ae = AE("CT1")
    for supported in (COMMITMENT, VERIFICATION):
        ae.add_supported_context(supported, EXPLICIT, scu_role=True, scp_role=True)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, heard)]
    server = ae.start_server((HOST, 0), block=False, evt_handlers=handlers)
    try:
        remote = DimseRemote("CT1", HOST, server.server_address[1])
        assoc = associate(AE("ME"), remote, [(service, [EXPLICIT])], scp_roles=[service])
        try:
            yield assoc
        finally:
            release(assoc)
    finally:
        server.shutdown()


def send(assoc: Association, patience: float = 20.0) -> None:
    send_commitment_event(assoc, 1, INFORMATION, message_id=7, patience=patience)


def test_what_is_taken_can_be_followed_by_more() -> None:
    heard: list[Dataset] = []

    def take(event: evt.Event) -> tuple[int, None]:
        heard.append(event.event_information)
        return 0x0000, None

    with association(take) as assoc:
        send(assoc)
        send(assoc)
    assert [one.TransactionUID for one in heard] == ["1.9", "1.9"]


def test_what_is_refused_is_said() -> None:
    refusing = association(lambda _event: (0x0110, None))
    with refusing as assoc, pytest.raises(PacsRefusedError, match="0x0110"):
        send(assoc)


def test_who_hangs_has_a_deadline() -> None:
    released = threading.Event()

    def hang(_event: evt.Event) -> tuple[int, None]:
        released.wait(20)
        return 0x0000, None

    with association(hang) as assoc:
        with pytest.raises(DeadlineError, match="does not answer"):
            send(assoc, patience=0.3)
        released.set()


def test_who_hangs_up_is_not_waited_for() -> None:
    def hang_up(event: evt.Event) -> tuple[int, None]:
        event.assoc.abort()
        return 0x0000, None

    with association(hang_up) as assoc, pytest.raises(PacsUnreachableError, match="AE title"):
        send(assoc)


def test_without_its_context_nothing_is_sent() -> None:
    other = association(lambda _event: (0x0000, None), VERIFICATION)
    with other as assoc, pytest.raises(PacsRefusedError, match="takes no reports"):
        send(assoc)
