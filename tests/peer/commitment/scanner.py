"""A scanner that asks for Storage Commitment (pynetdicom as it is)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio
from attrs import define, field
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_role

from p2pacs.dimse.association.contexts import COMMITMENT, COMMITMENT_INSTANCE
from p2pacs.dimse.commitment import (
    CommitmentReport,
    CommitmentRequest,
    read_report,
    write_request,
)
from tests.components import HOST, free_port
from tests.p2pacs.dimse.samples import EXPLICIT


@define
class Scanner:
    """Hears reports, over associations of its own and over those that come."""

    port: int = field(factory=free_port)
    reports: list[tuple[str, CommitmentReport]] = field(factory=list)
    """With who opened the association."""
    answer: int = 0x0000

    def heard(self, event: evt.Event) -> tuple[int, None]:
        said: Any = event.request
        assoc: Any = event.assoc
        who = "ours" if assoc.is_requestor else str(assoc.requestor.ae_title)
        assert event.context.abstract_syntax == COMMITMENT
        self.reports.append((who, read_report(said.EventTypeID, event.event_information)))
        return self.answer, None

    @property
    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self.heard)]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take associations that report; only who has the role may."""
        ae = AE("CT1")
        ae.add_supported_context(COMMITMENT, EXPLICIT, scu_role=False, scp_role=True)
        server = ae.start_server((HOST, self.port), block=False, evt_handlers=self.handlers)
        try:
            yield
        finally:
            server.shutdown()

    def call(self, port: int, aet: str = "CT1") -> Association:
        ae = AE(aet)
        ae.add_requested_context(COMMITMENT, EXPLICIT)
        role = build_role(COMMITMENT, scu_role=True)
        return ae.associate(
            HOST, port, ae_title="HOSPITAL", ext_neg=[role], evt_handlers=self.handlers
        )

    async def ask(
        self, port: int, asked: CommitmentRequest, *, aet: str = "CT1", stay: bool = False
    ) -> int:
        """Ask, and hang up, unless it stays; the status of the answer."""

        def work() -> int:
            assoc = self.call(port, aet)
            status, _ = assoc.send_n_action(
                write_request(asked), 1, UID(COMMITMENT), UID(COMMITMENT_INSTANCE)
            )
            if not stay:
                assoc.release()
            return int(status.Status)

        return await trio.to_thread.run_sync(work)

    async def hears(self, count: int = 1) -> list[tuple[str, CommitmentReport]]:
        while len(self.reports) < count:
            await trio.sleep(0.02)
        return self.reports
