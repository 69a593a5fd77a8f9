from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.db import PeerDatabase, open_database
from peer.retrieval.audit import AuditQueue
from peer.retrieval.sent_here import SentHere, StudiesSentHere

NORTH, SOUTH = (VirtualAddress(b"\xfd" + bytes(14) + bytes([one])) for one in range(2))


def study(number: int) -> StudyId:
    return StudyId(number.to_bytes(16, "big"))


FIRST = SentHere(study(1), NORTH, Priority.INTERACTIVE, 1_000)
SECOND = SentHere(study(2), SOUTH, Priority.STAT, 2_000)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[PeerDatabase]:
    async with open_database(tmp_path / "peer.db") as opened:
        yield opened


@pytest.fixture
async def sent_here(database: PeerDatabase) -> StudiesSentHere:
    sent_here = StudiesSentHere(database)
    await sent_here.note(FIRST)
    await sent_here.note(SECOND)
    return sent_here


async def test_who_sent_what_is_known_after_a_restart(tmp_path: Path) -> None:
    async with open_database(tmp_path / "peer.db") as database:
        await StudiesSentHere(database).note(FIRST)
    async with open_database(tmp_path / "peer.db") as database:
        assert await StudiesSentHere(database).newest(9) == [FIRST]


async def test_the_newest_come_first(sent_here: StudiesSentHere) -> None:
    assert await sent_here.newest(9) == [SECOND, FIRST]
    assert await sent_here.newest(1) == [SECOND]


async def test_of_some_studies_those_are_told_that_were_sent(sent_here: StudiesSentHere) -> None:
    assert await sent_here.find([study(2), study(3)]) == {study(2): SECOND}
    assert not await sent_here.find([])
    many = [study(number) for number in range(2_000)]
    assert set(await sent_here.find(many)) == {study(1), study(2)}


async def test_who_reads_one_has_read_it(
    database: PeerDatabase, sent_here: StudiesSentHere
) -> None:
    await AuditQueue(database).record(study(2), caller="anna", purpose="looked at on the page")
    assert await sent_here.newest(9, unread=True) == [FIRST]
    assert (await sent_here.find([study(2)]))[study(2)].is_read
    await sent_here.note(SECOND)  # the broker tells of a newer version
    assert await sent_here.newest(9, unread=True) == [FIRST]


async def test_one_that_is_sent_anew_is_unread_again(
    database: PeerDatabase, sent_here: StudiesSentHere
) -> None:
    await AuditQueue(database).record(study(1), caller="VIEWER", purpose="move")
    again = evolve(FIRST, addressed=3_000, sender=SOUTH, priority=Priority.STAT)
    await sent_here.note(again)
    assert await sent_here.newest(9, unread=True) == [again, SECOND]
    assert again.is_stat
    assert not FIRST.is_stat


async def test_one_that_is_addressed_to_others_now_is_forgotten(
    sent_here: StudiesSentHere,
) -> None:
    await sent_here.ended(study(1))
    await sent_here.ended(study(9))
    assert await sent_here.newest(9) == [SECOND]
