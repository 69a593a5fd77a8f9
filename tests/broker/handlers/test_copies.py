from pathlib import Path

from broker.database.recipients import address
from broker.handlers.copies import Copies, Copy
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import Announce
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import joined, open_parts


async def test_how_far_recipients_and_replicas_are(ground: Ground, tmp_path: Path) -> None:
    north, _ = await joined(ground, "North")
    south, _ = await joined(ground, "South")
    replica, _ = await joined(ground, "R1", role=Role.REPLICA)
    shares = {south.address: 0.25, replica.address: 1.0}

    def completeness(study: StudyId, member: VirtualAddress) -> float:
        del study
        return shares.get(member, 0.0)

    async with open_parts(ground, tmp_path, FakePacs()) as parts:
        study = parts.studies.id_of("1.2.3")
        copies = Copies(parts, completeness)
        assert await copies.of(study, 3) == [Copy(replica.address, 0, 999)]
        await ground.database.run(
            lambda c: address(
                c, study, [south.address], Priority.STAT, sender=north.address, actor="North"
            )
        )
        parts.holders.announce(replica.address, Announce(study.raw, 3, held=True, complete=True))
        parts.holders.announce(south.address, Announce(study.raw, 2, held=True, complete=True))
        parts.holders.announce(south.address, Announce(study.raw, 3, held=True, complete=False))
        assert await copies.of(study, 3) == [
            Copy(south.address, 2, 250),
            Copy(replica.address, 3, 1000),
        ]
