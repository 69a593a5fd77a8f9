from collections.abc import Mapping

import pytest
from sqlalchemy import Connection

from broker.database.db import BrokerDatabase
from broker.database.recipients import add_recipient, address, end_recipient
from broker.ingest.sent import begin_sending, note_stored, note_version
from broker.members import registry
from broker.members.registry import Member, Registration
from broker.pages.studies.sent_studies import list_sent, read_sending, read_sent
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority

STUDIES = [StudyId(bytes(15) + bytes([one])) for one in range(4)]
NORTH, SOUTH, EAST = (VirtualAddress(b"\xfd" + bytes(14) + bytes([one])) for one in range(3))


@pytest.fixture
async def members(database: BrokerDatabase) -> Mapping[VirtualAddress, Member]:
    """Three hospitals: north sends two studies, the first to south as an emergency."""

    def work(connection: Connection) -> Mapping[VirtualAddress, Member]:
        for where, name in ((NORTH, "north"), (SOUTH, "south"), (EAST, "east")):
            said = Registration(name, Role.HOSPITAL, None, None, "all")
            registry.register(connection, where, said, token_milliseconds=10**6)
        for place, study in enumerate(STUDIES[:2]):
            begin_sending(connection, study, f"1.2.{place}", NORTH)
        address(connection, STUDIES[0], [SOUTH], Priority.STAT, sender=NORTH, actor="north")
        listed = registry.list_members(connection)
        return {one.address: one for one in listed}

    return await database.run(work)


async def test_a_study_says_from_whom_it_is_and_for_whom(
    database: BrokerDatabase, members: Mapping[VirtualAddress, Member]
) -> None:
    told = await database.run(lambda c: read_sent(c, STUDIES, members))
    assert set(told) == set(STUDIES[:2])
    first = told[STUDIES[0]]
    assert first.origin is not None
    assert (first.origin.member.name, first.origin.is_home) == ("north", False)
    assert [(to.member.name, to.is_stat, to.sender) for to in first.recipients] == [
        ("south", True, "north")
    ]
    assert first.is_stat
    assert not told[STUDIES[1]].recipients


async def test_one_that_came_home_says_so(
    database: BrokerDatabase, members: Mapping[VirtualAddress, Member]
) -> None:
    await database.run(lambda c: note_version(c, STUDIES[0], 2, complete=True))
    await database.run(lambda c: note_stored(c, STUDIES[0], 2))
    told = await database.run(lambda c: read_sent(c, STUDIES, members))
    origin = told[STUDIES[0]].origin
    assert origin is not None
    assert origin.is_home
    sending = await database.run(lambda c: read_sending(c, members, 9))
    assert [one.study for one in sending] == [STUDIES[1]]
    assert set(await database.run(list_sent)) == set(STUDIES[:2])


async def test_what_an_administrator_addressed_was_made_nowhere(
    database: BrokerDatabase, members: Mapping[VirtualAddress, Member]
) -> None:
    to = (STUDIES[3], EAST)
    await database.run(lambda c: add_recipient(c, *to, Priority.INTERACTIVE, actor="anna"))
    told = (await database.run(lambda c: read_sent(c, STUDIES, members)))[STUDIES[3]]
    assert told.origin is None
    assert [(one.member.name, one.sender) for one in told.recipients] == [("east", "anna")]
    assert not told.is_stat
    await database.run(lambda c: end_recipient(c, *to))
    assert STUDIES[3] not in await database.run(lambda c: read_sent(c, STUDIES, members))
