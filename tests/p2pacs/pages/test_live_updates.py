"""Events in virtual time, from a source that a test moves by hand."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.languages import _, speaking
from p2pacs.output.json_object import JsonObject
from p2pacs.pages.live_updates import OVER, LiveTuning, LiveUpdates, encode_event


@define
class FakeSource:
    state: dict[str, JsonObject] = field(factory=dict)
    moving: bool = True
    looks: int = 0

    async def prepare(self) -> None:
        await trio.lowlevel.checkpoint()

    def look(self) -> dict[str, JsonObject]:
        self.looks += 1
        return dict(self.state)


async def valid() -> bool:
    await trio.lowlevel.checkpoint()
    return True


@asynccontextmanager
async def running(source: FakeSource, tuning: LiveTuning) -> AsyncIterator[LiveUpdates]:
    updates = LiveUpdates(source, tuning)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(updates.run)
        yield updates
        nursery.cancel_scope.cancel()


def events(raw: bytes) -> list[tuple[str, JsonObject]]:
    blocks = [block for block in raw.decode().split("\n\n") if block.startswith("data: [")]
    return [tuple(json.loads(block.removeprefix("data: "))) for block in blocks]


async def begun(updates: LiveUpdates, session: str = "s") -> AsyncGenerator[bytes, None]:
    stream = updates.stream(lambda topic: topic != "hidden", session, valid)
    assert (await anext(stream)).startswith(b"retry: ")
    return stream


async def test_a_change_is_told_within_half_a_second(autojump_clock: object) -> None:
    source = FakeSource({"a": {"n": 1}, "hidden": {}})
    async with running(source, LiveTuning()) as updates, aclosing(await begun(updates)) as stream:
        assert events(await anext(stream)) == [("a", {"n": 1})]
        await trio.sleep(1)
        changed = trio.current_time()
        source.state["a"] = {"n": 2}
        assert events(await anext(stream)) == [("a", {"n": 2})]
        assert trio.current_time() - changed <= 0.5
        del source.state["a"]
        assert events(await anext(stream)) == [("a", {})]


async def test_what_did_not_change_is_not_told_again(autojump_clock: object) -> None:
    source = FakeSource({"a": {"n": 1}})
    tuning = LiveTuning()
    async with running(source, tuning) as updates, aclosing(await begun(updates)) as stream:
        await anext(stream)
        at = trio.current_time()
        assert await anext(stream) == b": still here\n\n"
        assert trio.current_time() - at == pytest.approx(tuning.heartbeat)


async def test_all_pages_cost_one_look_and_none_costs_none(autojump_clock: object) -> None:
    source = FakeSource({"a": {"n": 1}})
    async with running(source, LiveTuning(readers=200)) as updates:
        await trio.sleep(60)
        assert source.looks == 0
        streams = [await begun(updates, str(number)) for number in range(100)]
        for stream in streams:
            assert events(await anext(stream)) == [("a", {"n": 1})]
        looks = source.looks
        await trio.sleep(3)
        assert source.looks - looks <= 11
        for stream in streams:
            await stream.aclose()
        assert not len(updates)


async def test_a_source_at_rest_is_looked_at_less_and_what_begins_is_seen_in_time(
    autojump_clock: object,
) -> None:
    source = FakeSource({"a": {"n": 1}}, moving=False)
    async with running(source, LiveTuning()) as updates, aclosing(await begun(updates)) as stream:
        await anext(stream)
        looks = source.looks
        await trio.sleep(10)
        assert source.looks - looks <= 21
        source.state["a"] = {"n": 2}
        changed = trio.current_time()
        await anext(stream)
        assert trio.current_time() - changed <= 0.5


async def test_who_reads_slowly_gets_the_latest_alone(autojump_clock: object) -> None:
    source = FakeSource({"a": {"n": 0}, "b": {}})
    async with running(source, LiveTuning()) as updates, aclosing(await begun(updates)) as stream:
        await anext(stream)
        for number in range(1, 50):
            source.state["a"] = {"n": number}
            await trio.sleep(0.4)
        assert events(await anext(stream)) == [("a", {"n": 49})]


async def test_a_session_has_so_many_streams_and_the_first_ends(autojump_clock: object) -> None:
    source = FakeSource({"a": {}})
    async with running(source, LiveTuning(streams=2)) as updates:
        other = await begun(updates, "other")
        first, second = await begun(updates), await begun(updates)
        third = await begun(updates)
        assert await anext(first) == OVER
        assert len(updates) == 3
        updates.end_session("s")
        assert [await anext(stream) for stream in (second, third)] == [OVER, OVER]
        assert events(await anext(other)) == [("a", {})]
        for stream in (first, second, third, other):
            await stream.aclose()
        assert not len(updates)


async def test_in_all_there_are_so_many(autojump_clock: object) -> None:
    async with running(FakeSource(), LiveTuning(readers=3)) as updates:
        streams = [await begun(updates, str(number)) for number in range(5)]
        assert len(updates) == 3
        for stream in streams:
            await stream.aclose()


async def test_a_stream_ends_with_its_session(autojump_clock: object) -> None:
    left = 3

    async def is_valid() -> bool:
        nonlocal left
        left -= 1
        await trio.lowlevel.checkpoint()
        return left > 0

    source = FakeSource()
    async with running(source, LiveTuning()) as updates:
        stream = updates.stream(lambda _: True, "s", is_valid)
        with trio.fail_after(100):
            said = [event async for event in stream]
        assert said[-1] == OVER
        assert not len(updates)


async def test_a_busy_stream_looks_at_its_session_too(autojump_clock: object) -> None:
    async def is_valid() -> bool:
        await trio.lowlevel.checkpoint()
        return False

    source = FakeSource({"a": {"n": 0}})

    async def move() -> None:
        while True:
            source.state["a"] = {"n": trio.current_time()}
            await trio.sleep(0.3)

    async with running(source, LiveTuning()) as updates, trio.open_nursery() as nursery:
        nursery.start_soon(move)
        with trio.fail_after(60):
            async for _ in updates.stream(lambda _: True, "s", is_valid):
                pass
        nursery.cancel_scope.cancel()


@given(st.dictionaries(st.text(), st.text()))
def test_an_event_is_one_block(value: dict[str, str]) -> None:
    raw = encode_event("a", value)
    assert raw.count(b"\n") == 2
    assert b"\r" not in raw
    assert events(raw) == [("a", value)]


@define
class SpeakingSource(FakeSource):
    def look(self) -> dict[str, JsonObject]:
        return {"a": {"words": _("Language"), "n": self.state["a"]["n"]}}


async def test_each_page_is_told_in_its_language(autojump_clock: object) -> None:
    source = SpeakingSource({"a": {"n": 1}})
    async with running(source, LiveTuning()) as updates, AsyncExitStack() as streams:
        opened = []
        for language in ("de", "en"):
            with speaking(language):
                opened.append(await streams.enter_async_context(aclosing(await begun(updates))))
        german, english = opened
        assert events(await anext(german)) == [("a", {"words": "Sprache", "n": 1})]
        assert events(await anext(english)) == [("a", {"words": "Language", "n": 1})]
        source.state["a"] = {"n": 2}
        assert events(await anext(german)) == [("a", {"words": "Sprache", "n": 2})]
        await german.aclose()
        await trio.sleep(1)
        source.state["a"] = {"n": 3}
        await trio.sleep(1)
        # Who comes back is told how it is, and not how it was.
        with speaking("de"):
            again = await streams.enter_async_context(aclosing(await begun(updates)))
        assert events(await anext(again)) == [("a", {"words": "Sprache", "n": 3})]
        assert events(await anext(english)) == [("a", {"words": "Language", "n": 3})]
