"""Which transfers a host has: one a study, gone on with, remembered, forgotten."""

from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.errors import ManifestError, UnavailableError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.swarm.download.downloads import ENDED_TRANSFERS
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.swarm.scheduling.priority import Priority
from tests.simulation.world import Study, open_world

Clock = trio.testing.MockClock


async def test_a_transfer_under_way_takes_more_holders_and_the_higher_priority(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        other, hospital = await world.add("other"), await world.add("hospital")
        downloads, study = hospital.host.engine.downloads, StudyId(bytes(16))
        transfer = downloads.fetch(study, priority=Priority.BACKGROUND)
        assert set(transfer.holders) == {broker.address}
        assert downloads.fetch(study, [other.address], None, Priority.STAT) is transfer
        assert set(transfer.holders) == {broker.address, other.address}
        assert transfer.priority is Priority.STAT
        assert downloads.fetch(study, priority=Priority.BACKGROUND).priority is Priority.STAT
        with pytest.raises(ManifestError):
            downloads.fetch(study, root=b"not the broker's")


async def test_the_last_that_ended_are_remembered_and_none_under_way_is_forgotten(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER, start=False)
        hospital = await world.add("hospital")
        downloads = hospital.host.engine.downloads
        studies = [StudyId(number.to_bytes(16, "big")) for number in range(ENDED_TRANSFERS + 5)]
        running = downloads.fetch(studies[0])
        for study in studies[1:]:
            downloads.fetch(study).cancel()
        await trio.sleep(1)
        downloads.fetch(StudyId(b"\xff" * 16))
        ended = [one for one in downloads.transfers.values() if one is not running][:-1]
        assert [one.study for one in ended] == studies[-ENDED_TRANSFERS:]
        assert downloads.transfers[studies[0]] is running
        assert running.state is TransferState.FETCHING


async def test_a_study_that_the_store_dropped_is_fetched_no_longer(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER, start=False)
        hospital = await world.add("hospital")
        downloads, study = hospital.host.engine.downloads, Study(world.key).id
        transfer = downloads.fetch(study)
        assert downloads.get(study) is not None
        hospital.host.engine.dropped(study)
        assert downloads.get(study) is None
        assert study not in downloads.transfers
        with pytest.raises(UnavailableError, match="was cancelled"):
            await transfer.wait_complete()
