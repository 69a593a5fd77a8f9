from broker.database.db import now
from broker.handlers.own_traffic import OwnTraffic
from broker.members import traffic
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.publish import PublishProgress
from tests.broker.conftest import Ground

STUDY = StudyId(bytes(16))
NORTH = VirtualAddress(b"\xfd" + bytes(15))


async def test_each_byte_counts_once(ground: Ground) -> None:
    publications: dict[StudyId, PublishProgress] = {}
    taken = [{(STUDY, NORTH): 30}, {}, {}]
    own = OwnTraffic(ground.database, ground.identity.address, publications, lambda: taken.pop(0))

    async def known() -> dict[bytes, int]:
        read = lambda c: traffic.flows(c, traffic.Step.DAY, 0, now() + 1)  # noqa: E731
        flows = await ground.database.run(read)
        return {flow.giver: flow.bytes for flow in flows}

    publications[STUDY] = progress = PublishProgress(STUDY, "1.2", bytes_read=100)
    await own.count()
    assert await known() == {NORTH.raw: 30, traffic.PACS: 100}
    progress.bytes_read = 150
    await own.count()
    assert await known() == {NORTH.raw: 30, traffic.PACS: 150}
    publications[STUDY] = PublishProgress(STUDY, "1.2", bytes_read=7)  # begun anew
    await own.count()
    assert await known() == {NORTH.raw: 30, traffic.PACS: 157}
