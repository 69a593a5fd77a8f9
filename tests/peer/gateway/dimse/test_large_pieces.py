"""Large instances to workstations: never in memory as a whole, exact, or broken off."""

from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import PacsError
from p2pacs.transcode.transcoding import transcode
from p2pacs.units import Endpoint
from peer.retrieval.instances.live_index import Known
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.components import storescp
from tests.p2pacs.study import samples
from tests.peer.gateway.dimse.test_gateway import client, query, received, served, tool
from tests.peer.retrieval.test_large_reads import compressed, volume
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid

CLASSES = {samples.CT: [samples.EXPLICIT, "1.2.840.10008.1.2.4.90"]}


def data_of(one: EncodedInstance | LargeInstance) -> bytes:
    return one.data if isinstance(one, EncodedInstance) else one.read(0, one.size)


async def got(where: Endpoint, uid: str, into: dict[str, bytes]) -> None:
    wanted = query("STUDY", StudyInstanceUID=uid)
    with trio.fail_after(LIMIT):
        async with client(where).get(wanted, classes=CLASSES) as inbox:
            async for one in inbox:
                into[one.sop_instance_uid] = data_of(one)


async def test_c_get_gives_large_ones_among_others(tmp_path: Path) -> None:
    sent = [samples.instance(1), volume(2), samples.instance(3), compressed(4)]
    found = dict[str, bytes]()
    async with served(tmp_path, sent) as (world, _, where):
        await got(where, world.broker.uid, found)
    assert found == {one.sop_instance_uid: one.data for one in sent}


async def test_one_that_is_not_exact_is_never_whole_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is wrong is known when nearly all of it was sent: then the association is aborted."""
    sent = [volume(1)]
    found = dict[str, bytes]()
    async with served(tmp_path, sent) as (world, peer, where):
        fetch = await peer.reads.open(world.broker.uid, Requester("me", "get"))
        with fetch.in_use(), trio.fail_after(LIMIT):
            await fetch.cursor().next()
        known = fetch.known[0]
        fetch.known[0] = evolve(known, entry=evolve(known.entry, sha256=bytes(32)))
        with pytest.raises(PacsError):
            await got(where, world.broker.uid, found)
    assert not found


@pytest.mark.dcmtk
async def test_dcmtk_is_moved_a_large_one_converted_where_it_must_be(tmp_path: Path) -> None:
    sent = [samples.instance(1), volume(2)]
    with (
        storescp(tmp_path / "viewer", aet="VIEWER") as viewer,
        storescp(tmp_path / "old", "+xi", aet="OLD") as old,
    ):
        destinations = {
            "VIEWER": f"127.0.0.1:{viewer.port}",
            "OLD": f"127.0.0.1:{old.port}",
            "NEVER": {"address": f"127.0.0.1:{old.port}", "transcode": "never"},
        }
        async with served(tmp_path, sent, destinations=destinations) as (world, _, where):
            order = (
                "-v", "-d", "-S", "-k", "QueryRetrieveLevel=STUDY",
                "-k", f"StudyInstanceUID={world.broker.uid}",
            )  # fmt: skip
            assert "0x0000: Success" in await tool("movescu", where, *order, "-aem", "VIEWER")
            assert received(tmp_path / "viewer") == by_uid(sent)
            said = await tool("movescu", where, *order, "-aem", "NEVER", fails=True)
            assert "ExplicitVRLittleEndian not accepted" in said
            assert "0x0000: Success" in await tool("movescu", where, *order, "-aem", "OLD")
    implicit = by_uid([transcode(one, "1.2.840.10008.1.2") for one in sent])
    assert received(tmp_path / "old") == implicit


async def test_what_is_large_is_not_read_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor as a whole at all."""
    read = list[int]()
    whole = StudyFetch.read

    async def noted(self: StudyFetch, known: Known) -> EncodedInstance:
        read.append(known.entry.size)
        return await whole(self, known)

    monkeypatch.setattr(StudyFetch, "read", noted)
    sent, found = [samples.instance(1), volume(2), volume(3)], dict[str, bytes]()
    async with served(tmp_path, sent) as (world, _, where):
        await got(where, world.broker.uid, found)
    assert len(found) == 3
    assert read == [len(sent[0].data)]
