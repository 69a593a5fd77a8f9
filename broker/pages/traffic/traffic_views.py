"""The page of traffic: of all, of a member, or of a study; and the same as a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from attrs import frozen
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from broker.database.db import BrokerDatabase, now
from broker.members import registry, traffic
from broker.members.registry import Member
from broker.members.traffic import PACS, Flow, StudyFlow
from broker.pages.traffic.traffic_table import (
    PERIODS,
    USUAL,
    Period,
    buckets,
    by_member,
    mark,
    when,
)
from p2pacs.accounts.sessions import Session
from p2pacs.errors import UsageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.languages import _
from p2pacs.pages.csv_answer import CsvAnswer, csv_lines
from p2pacs.pages.plot import plot_of
from p2pacs.texts import clean
from p2pacs.web.pages import Pages

HEADINGS = ("From (UTC)", "Step", "Receiver", "Sender", "Bytes")

BATCH = 1000
"""Lines of a file that are written at once."""

ROWS = 50
"""Lines of the table beside the plot, the latest first: the file has all."""


@frozen
class _Asked:
    """What the address asks for; what it has wrong is as if it were not there."""

    name: str
    period: Period
    member: VirtualAddress | None
    study: StudyId | None

    @classmethod
    def of(cls, request: Request) -> _Asked:
        given = request.query_params
        name = given.get("period", USUAL)
        name = name if name in PERIODS else USUAL
        member, study = None, None
        with suppress(UsageError):
            member = VirtualAddress.parse(given.get("member", ""))
        with suppress(UsageError):
            study = StudyId.parse(given.get("study", ""))
        return cls(name, PERIODS[name], member, study)


@frozen
class TrafficViews:
    """For who is signed in."""

    database: BrokerDatabase
    pages: Pages
    broker: VirtualAddress
    clock: Callable[[], int] = now

    async def traffic(self, request: Request, session: Session) -> Response:
        """The plot, and tables."""
        asked, at = _Asked.of(request), self.clock()
        period, whose = asked.period, None if asked.member is None else asked.member.raw

        def work(connection: Connection) -> tuple[list[Flow], list[StudyFlow], list[Member]]:
            since, until = period.since(at), at + 1
            read = partial(traffic.busiest_studies, connection, period.step, since, until)
            busiest = [] if asked.study is not None else read(member=asked.member)
            return self._flows(connection, asked, at), busiest, registry.list_members(connection)

        flows, busiest, members = await self.database.run(work)
        names = self._names(members)
        found = buckets(flows, period, at, whose)
        return self.pages.page(
            request,
            "traffic.html",
            session=session,
            asked=asked,
            periods=PERIODS.items(),
            members=sorted((names[m.address.raw], str(m.address)) for m in members),
            subject=None if whose is None else names.get(whose, str(asked.member)),
            series=(_("Received"), _("Sent")) if whose else (_("From members"), _("From the PACS")),
            plot=plot_of([bucket.values for bucket in found]),
            marks=[mark(bucket.at, period) for bucket in found],
            rows=[
                (when(bucket.at, period.step), *bucket.values)
                for bucket in reversed(found)
                if any(bucket.values)
            ][:ROWS],
            most=ROWS,
            total=[sum(bucket.values[n] for bucket in found) for n in (0, 1)],
            by_member=[
                (names.get(one.address, "a former member"), one, _link(one.address))
                for one in by_member(flows)
            ],
            busiest=busiest,
        )

    async def file(self, request: Request, _session: Session) -> Response:
        """All flows of the period as CSV."""
        asked, at = _Asked.of(request), self.clock()

        def work(connection: Connection) -> tuple[list[Flow], list[Member]]:
            return self._flows(connection, asked, at), registry.list_members(connection)

        flows, members = await self.database.run(work)
        return CsvAnswer(_lines(flows, asked.period, self._names(members)), "traffic.csv")

    def _flows(self, connection: Connection, asked: _Asked, at: int) -> list[Flow]:
        return traffic.flows(
            connection,
            asked.period.step,
            asked.period.since(at),
            at + 1,
            member=asked.member,
            study=asked.study,
        )

    def _names(self, members: Sequence[Member]) -> Mapping[bytes, str]:
        names = {member.address.raw: clean(member.name) for member in members}
        return names | {self.broker.raw: "the broker", PACS: "the PACS"}


async def _lines(
    flows: Sequence[Flow], period: Period, names: Mapping[bytes, str]
) -> AsyncGenerator[bytes, None]:
    yield csv_lines([HEADINGS])
    for first in range(0, len(flows), BATCH):
        yield csv_lines(
            [
                (
                    when(flow.at, period.step),
                    period.step.value,
                    names.get(flow.receiver, flow.receiver.hex()),
                    names.get(flow.giver, flow.giver.hex()),
                    flow.bytes,
                )
                for flow in flows[first : first + BATCH]
            ]
        )


def _link(address: bytes) -> str:
    return f"/traffic?member={VirtualAddress(address)}" if address else ""
