import json
from pathlib import Path

import httpx
import trio

from p2pacs.dataset.metadata import MetadataWriter
from peer.gateway.web.metadata_texts import MetadataTexts
from peer.retrieval.instances.live_index import Known
from tests.p2pacs.study import samples
from tests.peer.gateway.web.test_dicomweb import served
from tests.peer.retrieval.test_study_fetch import LIMIT, opened, read_all
from tests.peer.world import instances, open_world
from tests.waiting import eventually


class Counted(MetadataWriter):
    """Counts what it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def text(self, *given: object) -> str:
        self.written += 1
        return super().text(*given)  # type: ignore[arg-type]


async def test_each_text_is_written_once(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(4))
        fetch = await opened(world, await world.add("a"))
        await read_all(fetch)
        texts, writer, known = MetadataTexts(), Counted(), fetch.present
        found: dict[str, list[str]] = {}

        async def ask(name: str, some: list[Known]) -> None:
            made = await texts.of(fetch, world.broker.uid, some, writer)
            told = [json.loads(one.under("")) for one in made]
            found[name] = [one["00080018"]["Value"][0] for one in told]

        async with trio.open_nursery() as nursery:  # both at the same time
            nursery.start_soon(ask, "a", known)
            nursery.start_soon(ask, "b", known[1:3])
        await ask("c", known[::-1])
        uids = [one.entry.sop_instance_uid for one in known]
        assert found == {"a": uids, "b": uids[1:3], "c": uids[::-1]}
        assert writer.written == len(texts) == 4


async def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(3))
        fetch = await opened(world, await world.add("a"))
        await read_all(fetch)
        writer, known, uid = Counted(), fetch.present, world.broker.uid
        (text,) = await MetadataTexts().of(fetch, uid, known[:1], MetadataWriter())
        texts = MetadataTexts(size=2 * text.size)
        for one in (0, 1, 0, 2, 0, 1):
            await texts.of(fetch, uid, [known[one]], writer)
        assert len(texts) == 2
        assert writer.written == 4  # 0, 1, 2, and 1 once more
        assert len(await texts.of(fetch, uid, known, writer)) == 3  # more than there is room for


async def test_they_are_written_while_the_index_comes(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(5)[:3], complete=False)
        await world.broker.publish(
            instances(5)[3:], withheld=lambda reader: reader.root.parts[-1].numbers
        )
        fetch = await opened(world, await world.add("a"))
        texts = MetadataTexts()
        with trio.fail_after(LIMIT), fetch.in_use():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(texts.ahead, fetch, world.broker.uid)
                await eventually(lambda: len(texts) == 3)
                assert not fetch.current
                await world.supply()
        assert fetch.settled
        assert len(texts) == 5


async def test_what_is_opened_in_a_viewer_is_written_before_it_asks(tmp_path: Path) -> None:
    async with served(tmp_path, instances(3)) as (world, peer, root):
        uid = world.broker.uid
        with trio.fail_after(LIMIT):
            await peer.gateway_parts.dicomweb.begin(uid, "DICOMweb 127.0.0.1")
        series = samples.dataset().SeriesInstanceUID
        async with httpx.AsyncClient(timeout=LIMIT, trust_env=False) as http:
            answer = await http.get(f"{root}/studies/{uid}/series/{series}/metadata")
        assert len(answer.json()) == 3
        for told in answer.json():
            assert told["7FE00010"]["BulkDataURI"].startswith(f"{root}/studies/{uid}/series/")
        assert {purpose for purpose, _ in world.broker.asked} == {"view"}
