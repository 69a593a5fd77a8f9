from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import trio

from p2pacs.errors import UnavailableError
from p2pacs.output.json_object import JsonObject
from peer.api.streams import NdjsonLines, instances, levels
from tests.p2pacs.study.samples import instance
from tests.peer.retrieval.test_early import slices
from tests.peer.retrieval.test_study_fetch import LIMIT, opened
from tests.peer.world import open_world


async def heard(stream: AsyncGenerator[JsonObject, None]) -> list[JsonObject]:
    with trio.fail_after(LIMIT):
        return [line async for line in stream if "waiting" not in line]


async def test_levels_rise_until_all_is_here(tmp_path: Path) -> None:
    lines: list[JsonObject] = []
    async with open_world(tmp_path) as world:
        await world.broker.publish(slices(3), finest=1)
        fetch = await opened(world, await world.add("a"))
        with trio.fail_after(LIMIT):
            async with aclosing(levels(fetch)) as stream:
                async for line in stream:
                    lines.append(line)
                    if "previews" in line:
                        await world.supply()
    assert [line for line in lines if "previews" in line] == [{"previews": 3}]
    assert lines[-1] == {"complete": True, "instances": 3}
    for number in (1, 2, 3):
        said = [line["level"] for line in lines if line.get("number") == number]
        assert said[-1] == 0
        finer = [level for level in said if level is not None]
        assert finer == sorted(set(finer), reverse=True)
        assert finer[0] > 0


async def test_instances_are_told_when_they_are_whole(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish([instance(n, SeriesNumber=3) for n in (1, 2)])
        fetch = await opened(world, await world.add("a"))
        *whole, last = await heard(instances(fetch))
    assert last == {"complete": True, "instances": 2}
    assert {line["number"]: line["sha256"] for line in whole} == {
        known.number: known.entry.sha256.hex() for known in fetch.known
    }
    order = [(line["series"], line["series_number"], line["place"]) for line in whole]
    assert sorted(order) == [(1, 3, 1), (1, 3, 2)]


async def test_what_goes_wrong_is_the_last_line(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(slices(2), finest=1)
        fetch = await opened(world, await world.add("a"))
        for stream in (levels(fetch), instances(fetch)):
            fetch.transfer.end(UnavailableError("the line is gone"))
            *_, last = await heard(stream)
            assert (last["error"], last["message"]) == ("UnavailableError", "the line is gone")


async def test_a_stream_ends_with_its_request() -> None:
    ended = False

    async def objects() -> AsyncGenerator[JsonObject, None]:
        nonlocal ended
        try:
            while True:
                yield {"one": 1}
                await trio.lowlevel.checkpoint()
        finally:
            ended = True

    sent: list[bytes] = []

    async def receive() -> JsonObject:
        while len(sent) < 3:
            await trio.lowlevel.checkpoint()
        return {"type": "http.disconnect"}

    async def send(message: JsonObject) -> None:
        if message.get("body"):
            sent.append(message["body"])

    with trio.fail_after(LIMIT):
        await NdjsonLines(objects())(
            {"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send
        )
    assert ended
    assert sent[0] == b'{"one": 1}\n'
