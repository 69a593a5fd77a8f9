"""The broker is killed in the middle of a publication, and started again: the study goes on.

Every program is a process of its own, as on real machines.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from scripts import phantom
from scripts.loaded import digest
from scripts.network import LineRates, network
from scripts.pacs import open_pacs
from scripts.program import P2PACS, output_of
from scripts.steps import CATALOGUE_SECONDS, hospital, make_study

SLICES = 40
POLL_SECONDS = 0.02
PATIENCE = 60.0
"""Seconds in which the rest must be there on a busy machine; on an idle one it takes five. It stood
still for 100 to 300 s when nobody went on with what had been cut off."""


@pytest.mark.system
async def test_a_publication_that_was_killed_goes_on_by_itself(tmp_path: Path) -> None:
    study = await make_study(tmp_path, phantom.slices(SLICES))
    async with (
        open_pacs("embedded", tmp_path, study) as pacs,
        network(tmp_path, LineRates(None, None), pacs) as net,
        AsyncExitStack() as stack,
    ):
        peer = await hospital(net, "hospital", "127.2.0.1")
        await peer.ready(partial(peer.knows, study.uid), CATALOGUE_SECONDS)
        await peer.fetch(study.uid)

        async def under_way() -> bool:
            transfer = await peer.transfer()
            return transfer is not None and transfer.bytes_received > 0

        await peer.ready(under_way, poll=POLL_SECONDS)
        assert net.broker is not None
        net.broker.kill()
        transfer = await peer.transfer()
        assert transfer is not None
        assert transfer.state == "fetching"
        await net.run_broker(stack)
        with trio.fail_after(PATIENCE):
            await peer.complete(POLL_SECONDS, PATIENCE)
        command = [*P2PACS, "get", peer.folder, study.uid, "--out", tmp_path / "got"]
        await output_of("p2pacs get", command, tmp_path / "get.log")
    got = (
        EncodedInstance.from_part10(path.read_bytes()) for path in (tmp_path / "got").rglob("*.dcm")
    )
    assert {one.sop_instance_uid: digest(one) for one in got} == study.digests
