from collections.abc import Callable
from typing import TypeVar

import pytest
import trio
from sqlalchemy import Connection

from broker.database import pacs_state
from broker.database.db import BrokerDatabase
from broker.database.pacs_state import NEVER_RUN, PacsIs, PacsState, pacs_phrase
from p2pacs.errors import DeadlineError, DiskFullError, P2PacsError, PacsUnreachableError
from p2pacs.ids import VirtualAddress
from p2pacs.languages.choice import speaking
from p2pacs.languages.texts import said
from p2pacs.limits import TEXT

T = TypeVar("T")
BROKER, OTHER = (VirtualAddress(b"\xfd" + bytes(14) + bytes([last])) for last in (1, 2))
ADDRESS = "dimse://PACS@10.0.0.1:104"
AWAY = PacsUnreachableError("10.0.0.1:104 refuses connections")


def _at(monkeypatch: pytest.MonkeyPatch, time: int) -> None:
    monkeypatch.setattr(pacs_state, "now", lambda: time)


def _state(connection: Connection) -> PacsState:
    return pacs_state.read_pacs(connection, BROKER)


def test_from_start_to_away_and_back(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _state(connection) == NEVER_RUN
    _at(monkeypatch, 1000)
    pacs_state.note_start(connection, BROKER)
    assert _state(connection) == PacsState(PacsIs.UNKNOWN, 1000)
    for time in (2000, 3000):
        _at(monkeypatch, time)
        pacs_state.note_look(connection, BROKER, None, 4)
    assert _state(connection) == PacsState(PacsIs.ANSWERS, 2000, 3000, 4)
    for time in (4000, 5000):
        _at(monkeypatch, time)
        pacs_state.note_look(connection, BROKER, AWAY, None)
    assert _state(connection) == PacsState(PacsIs.AWAY, 4000, 3000, 4, str(AWAY))
    _at(monkeypatch, 6000)
    pacs_state.note_start(connection, BROKER)  # what was seen before the start may be so no more
    assert _state(connection) == PacsState(PacsIs.UNKNOWN, 6000, 3000, 4)
    assert pacs_state.read_pacs(connection, OTHER) == NEVER_RUN


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (AWAY, PacsIs.AWAY),
        (DeadlineError("no answer"), PacsIs.AWAY),
        (DiskFullError("no room"), PacsIs.FAILED),
    ],
)
def test_whose_fault_it_is(connection: Connection, error: P2PacsError, state: PacsIs) -> None:
    pacs_state.note_look(connection, BROKER, error, None)
    assert _state(connection).state is state


def test_what_the_pacs_says_cannot_command_a_terminal(connection: Connection) -> None:
    error = PacsUnreachableError("\x1b[2J" + "x" * 10_000)
    pacs_state.note_look(connection, BROKER, error, None)
    why = _state(connection).why
    assert "\x1b" not in why
    assert len(why) == TEXT


class Full(BrokerDatabase):
    """On a disk without room."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        await trio.lowlevel.checkpoint()
        raise DiskFullError("no room")


async def test_a_look_is_kept_and_what_cannot_be_written_is_no_error(
    database: BrokerDatabase,
) -> None:
    await pacs_state.keep_look(database, BROKER, None, 4)
    seen = await database.run(lambda c: pacs_state.read_pacs(c, BROKER))
    assert (seen.state, seen.studies) == (PacsIs.ANSWERS, 4)

    await pacs_state.keep_look(Full(database.path), BROKER, None, 5)
    assert await database.run(lambda c: pacs_state.read_pacs(c, BROKER)) == seen


@pytest.mark.parametrize(
    ("state", "address", "words"),
    [
        (
            PacsState(PacsIs.ANSWERS, 0, 60_000, 4),
            ADDRESS,
            f"{ADDRESS} answers. 4 studies are in the catalogue. Last look that succeeded: "
            "1970-01-01 00:01 UTC.",
        ),
        (NEVER_RUN, ADDRESS, f"{ADDRESS} was not looked through yet since the broker's start"),
        (
            PacsState(PacsIs.AWAY, 120_000, 60_000, 1, "it hangs"),
            ADDRESS,
            f"{ADDRESS} does not answer as it should, since 1970-01-01 00:02 UTC: it hangs. Check "
            f"that it runs, that this machine reaches it at that address, and that it knows the "
            "AE title ME. 1 study is in the catalogue. What is in the catalogue stays there. "
            "Last look that succeeded: 1970-01-01 00:01 UTC.",
        ),
        (
            PacsState(PacsIs.AWAY, 0, None, None, "it hangs"),
            "dicomweb+http://pacs",
            "Check that it runs and that this machine reaches it at that address. 0 studies are in "
            "the catalogue. What is in the catalogue stays there. No look has succeeded yet.",
        ),
        (PacsState(PacsIs.FAILED, 0, 0, 4, "disk full"), ADDRESS, "cannot be kept"),
    ],
)
def test_in_words(state: PacsState, address: str, words: str) -> None:
    assert words in pacs_phrase(state, address, "ME")


def test_why_it_is_away_is_a_phrase_again() -> None:
    kept = PacsState(
        PacsIs.AWAY, 0, 0, 1, f"{ADDRESS} cannot be reached: does it run at this address?"
    )
    with speaking("de"):
        told = said(pacs_phrase(kept, ADDRESS, "ME"))
    assert "ist nicht zu erreichen" in told
    assert ADDRESS in told
