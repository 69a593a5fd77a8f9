"""Members that nobody can dial: in a world with routers of Linux; and who is asked in vain."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from p2pacs.errors import NoSourceError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from scripts.lab import shell
from tests.p2pacs.swarm.nodes import Nodes

CT = StudyId(bytes(16))


@pytest.mark.lab
@pytest.mark.nft
@pytest.mark.system
@pytest.mark.timeout(400)
def test_hospitals_behind_routers_of_linux() -> None:
    tests = Path(__file__).with_name("inside_nat.py")
    command = [*shell.way_in(), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, tests], capture_output=True, text=True, timeout=390, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


async def test_no_study_no_meeting(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        hospital = await nodes.add("hospital")
        with trio.fail_after(30):
            await broker.host.mesh.until_linked(hospital.identity.address)
        record = nodes.books[1].directory.get(broker.identity.address)
        assert record is not None
        with pytest.raises(NoSourceError, match="no study"):
            await hospital.puncher.connect(record)
        with pytest.raises(NoSourceError, match="cannot share a port"):
            await broker.puncher.connect(record)
