"""How the central PACS is, as the broker last saw it: functions on a transaction, and the words.

The running broker writes it after every look for studies, so that the administrator's pages and
`p2pacs broker status` can tell without asking the PACS themselves.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import structlog
from attrs import frozen
from sqlalchemy import Connection, select

from broker.database.db import now
from broker.database.schema import pacs
from p2pacs.errors import DeadlineError, LocalError, P2PacsError, PacsError
from p2pacs.ids import VirtualAddress
from p2pacs.languages.kept_details import FROM_A_PACS, kept_phrase
from p2pacs.limits import TEXT
from p2pacs.phrases import Moment, Phrase, both, counted
from p2pacs.sql.portable import upsert
from p2pacs.sql.sqlite import SqliteFile
from p2pacs.texts import clean

log = structlog.get_logger(__name__)


class PacsIs(StrEnum):
    """What the last look found."""

    UNKNOWN = "unknown"
    """No look has ended since the broker's start."""
    ANSWERS = "answers"
    AWAY = "away"
    """It does not answer, or not as it should."""
    FAILED = "failed"
    """It may answer, but the broker cannot keep what it says: its disk is full, for instance."""


@frozen
class PacsState:
    """The state of the PACS. Times are milliseconds since 1970 (UTC)."""

    state: PacsIs
    since: int
    """When it began to be so."""
    looked: int | None = None
    """The end of the last look that succeeded, of earlier runs, too."""
    studies: int | None = None
    """In the catalogue, after that look."""
    why: str = ""
    """Why the last look failed."""


NEVER_RUN: Final = PacsState(PacsIs.UNKNOWN, 0)


def read_pacs(connection: Connection, broker: VirtualAddress) -> PacsState:
    """What this broker last wrote."""
    query = select(pacs).where(pacs.c.broker == broker.raw)
    row = connection.execute(query).one_or_none()
    if row is None:
        return NEVER_RUN
    return PacsState(PacsIs(row.state), row.since, row.looked, row.studies, row.why)


def note_start(connection: Connection, broker: VirtualAddress) -> None:
    """The broker starts: nothing is known yet, but for the last look that succeeded."""
    before = read_pacs(connection, broker)
    _write(connection, broker, PacsState(PacsIs.UNKNOWN, now(), before.looked, before.studies))


def note_look(
    connection: Connection, broker: VirtualAddress, error: P2PacsError | None, studies: int | None
) -> None:
    """A look has ended.

    Args:
        connection: a transaction.
        broker: whose PACS.
        error: why it failed; None: it did not.
        studies: in the catalogue now; None: as many as before.
    """
    before, at = read_pacs(connection, broker), now()
    if error is None:
        state = PacsIs.ANSWERS
    else:
        state = PacsIs.AWAY if isinstance(error, PacsError | DeadlineError) else PacsIs.FAILED
    _write(
        connection,
        broker,
        PacsState(
            state,
            since=before.since if state is before.state else at,
            looked=before.looked if error else at,
            studies=before.studies if studies is None else studies,
            why=clean(str(error))[:TEXT] if error else "",
        ),
    )


async def keep_look(
    database: SqliteFile,
    broker: VirtualAddress,
    error: P2PacsError | None,
    studies: int | None,
) -> None:
    """`note_look` in a transaction of its own. Where that cannot be written now, the next look
    writes it: what it found in the PACS stays good."""
    try:
        await database.run(lambda connection: note_look(connection, broker, error, studies))
    except LocalError as failure:
        log.warning("the state of the PACS is not noted", error=str(failure))


def _write(connection: Connection, broker: VirtualAddress, state: PacsState) -> None:
    row = {
        "broker": broker.raw,
        "state": state.state.value,
        "since": state.since,
        "looked": state.looked,
        "studies": state.studies,
        "why": state.why,
    }
    upsert(connection, pacs, ["broker"], row)


# ---------------------------------------------------------------- in words


def pacs_phrase(state: PacsState, address: str, aet: str) -> Phrase:
    """The state in sentences, with what to check.

    Args:
        state: of the PACS.
        address: of the PACS, without a password.
        aet: the broker's own AE title.
    """
    looked = (
        Phrase("No look has succeeded yet.")
        if state.looked is None
        else Phrase("Last look that succeeded: %(time)s.", time=Moment(state.looked))
    )
    if state.state is PacsIs.UNKNOWN:
        what = Phrase("%(pacs)s was not looked through yet since the broker's start.", pacs=address)
        return both(what, looked)
    held = counted(
        "%(num)s study is in the catalogue.",
        "%(num)s studies are in the catalogue.",
        state.studies or 0,
    )
    if state.state is PacsIs.ANSWERS:
        return both(both(Phrase("%(pacs)s answers.", pacs=address), held), looked)
    said = kept_phrase(state.why, FROM_A_PACS)
    why = {"pacs": address, "since": Moment(state.since), "why": said}
    if state.state is PacsIs.FAILED:
        what = Phrase("What %(pacs)s says cannot be kept, since %(since)s: %(why)s.", **why)
        return both(both(what, held), looked)
    what = Phrase("%(pacs)s does not answer as it should, since %(since)s: %(why)s.", **why)
    check = Phrase("Check that it runs and that this machine reaches it at that address.")
    if address.startswith("dimse:"):
        check = Phrase(
            "Check that it runs, that this machine reaches it at that address, and that it knows"
            " the AE title %(aet)s.",
            aet=aet,
        )
    stays = Phrase("What is in the catalogue stays there.")
    return both(both(both(what, check), held), both(stays, looked))
