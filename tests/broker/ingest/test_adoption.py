from pathlib import Path

import trio
from sqlalchemy import Connection

from broker.database.db import BrokerDatabase, open_database
from broker.ingest.adoption import ADOPTED, end_adoption, whole_instances
from broker.ingest.sent import adopt_studies, begin_sending, find_sent
from broker.trail import audit
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.store import open_store
from tests.broker.publish.bench import SIGNING, bench
from tests.conformance.instances import make

UID = "1.2.1"
MEMBER = VirtualAddress(b"\xfd" + bytes(15))
OTHER = VirtualAddress(b"\xfd" + bytes(14) + b"1")
STUDY = [make(UID, series, number) for series in (1, 2) for number in (1, 2)]
UIDS = [one.sop_instance_uid for one in STUDY]


def test_only_what_this_member_sends_is_adopted(connection: Connection) -> None:
    studies = [StudyId(bytes([number]) * 16) for number in range(3)]
    begin_sending(connection, studies[0], "1.2.0", MEMBER)
    begin_sending(connection, studies[1], "1.2.1", OTHER)
    assert adopt_studies(connection, MEMBER) == 1
    assert adopt_studies(connection, MEMBER) == 0
    found = [find_sent(connection, study) for study in studies[:2]]
    assert [one is not None and one.adopted for one in found] == [True, False]


def test_what_is_finished_is_a_study_of_the_pacs_and_written_down(connection: Connection) -> None:
    study = StudyId(bytes(16))
    begin_sending(connection, study, UID, MEMBER)
    known = find_sent(connection, study)
    assert known is not None
    end_adoption(connection, known, None)
    assert find_sent(connection, study) is None
    (entry,) = audit.read(connection)
    assert (entry.what, entry.study, entry.outcome) == (ADOPTED, study, audit.FAILED)
    assert entry.detail == "0 instances are in the central PACS; what only its sender had is lost"


async def test_who_adopts_at_the_same_time_adopts_once(
    database: BrokerDatabase, tmp_path: Path
) -> None:
    """Two commands, and two brokers that share a database."""
    study, counts = StudyId(bytes(16)), list[int]()
    await database.run(lambda c: begin_sending(c, study, UID, MEMBER))
    async with open_database(tmp_path / "broker.db") as other, trio.open_nursery() as nursery:

        async def adopt(by: BrokerDatabase) -> None:
            counts.append(await by.run(lambda c: adopt_studies(c, MEMBER)))
            known = await by.run(lambda c: find_sent(c, study))
            if known is not None:
                await by.run(lambda c: end_adoption(c, known, None))

        for by in (database, other, database, other):
            nursery.start_soon(adopt, by)
    assert sum(counts) == 1
    trail = await database.run(audit.read)
    assert [one.what for one in trail] == [ADOPTED]


async def test_instances_of_which_all_chunks_are_here(tmp_path: Path) -> None:
    async with bench(tmp_path, *STUDY[:2]) as made, open_store(tmp_path / "other") as other:
        await made.publish(UID)
        made.pacs.add(*STUDY[2:])
        progress = await made.publish(UID)
        files, key = await made.store.study(progress.study), made.keys.keys[progress.study]
        found = await whole_instances(files, key, SIGNING.public)
        assert found is not None
        assert (sorted(found.entries), found.lost, found.is_whole) == (UIDS, 0, True)
        lacks = set(found.reader.chunks_of(found.entries[UIDS[3]]))
        lacks -= set(found.reader.chunks_of(found.entries[UIDS[0]]))
        assert lacks
        part = await other.study(progress.study)
        assert await whole_instances(part, key, SIGNING.public) is None
        root = found.reader.root
        assert files.root is not None
        for number in files.have:
            if number not in lacks:
                data = await files.read(number)
                await part.put(number, ChunkId.of(data), data)
        for name in root.segments:
            raw = await files.segment(name)
            assert raw is not None
            await part.put_segment(name, raw)
        await part.put_root(files.root, version=root.version, segments=root.segments)
        found = await whole_instances(part, key, SIGNING.public)
        assert found is not None
        assert (sorted(found.entries), found.lost, found.is_whole) == (UIDS[:2], 2, False)
