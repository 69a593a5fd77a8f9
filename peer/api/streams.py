"""What the local interface tells of a study as it comes: NDJSON, an object a line."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Final

import trio
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from p2pacs.dataset.instance import part10_head
from p2pacs.errors import P2PacsError, report
from p2pacs.output.json_object import JsonObject
from peer.api.activity import HEARTBEAT
from peer.api.openapi import NDJSON
from peer.retrieval.instances.levels import Levels, Reached
from peer.retrieval.instances.live_index import Known
from peer.retrieval.large_reads import pieces_in_turn
from peer.retrieval.study_fetch import StudyFetch

BATCH: Final = 500
"""New instances that are looked at in one go: a study of thousands is not to stop all else."""


class NdjsonLines(StreamingResponse):
    """NDJSON out of an async generator, which ends with the request whatever happens."""

    def __init__(self, objects: AsyncGenerator[JsonObject, None]) -> None:
        super().__init__(_lines(objects), media_type=NDJSON)
        self._objects = objects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with aclosing(self._objects):
            await super().__call__(scope, receive, send)


async def _lines(objects: AsyncGenerator[JsonObject, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(objects):
        async for one in objects:
            yield json.dumps(one).encode() + b"\n"


class LargeFile(StreamingResponse):
    """A large instance as a DICOM file, read while it is sent; one that breaks off is too short."""

    def __init__(self, fetch: StudyFetch, known: Known) -> None:
        entry = known.entry
        head = part10_head(entry.sop_class_uid, entry.sop_instance_uid, entry.transfer_syntax_uid)
        self._pieces = _large_file(fetch, known, head)
        length = {"Content-Length": str(len(head) + entry.size)}
        super().__init__(self._pieces, media_type="application/dicom", headers=length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with aclosing(self._pieces):
            await super().__call__(scope, receive, send)


async def _large_file(fetch: StudyFetch, known: Known, head: bytes) -> AsyncGenerator[bytes, None]:
    with fetch.in_use():
        yield head
        async with aclosing(pieces_in_turn(fetch, known)) as pieces:
            async for piece in pieces:
                yield piece


async def instances(fetch: StudyFetch) -> AsyncGenerator[JsonObject, None]:
    """An object for each instance as it becomes whole, and one more if it was replaced in the PACS
    meanwhile; at last the end, or an error."""
    with fetch.in_use():
        cursor = fetch.cursor(again=True)
        try:
            while True:
                with trio.move_on_after(HEARTBEAT) as waiting:
                    known = await cursor.next()
                if waiting.cancelled_caught:
                    yield {"waiting": True}
                elif known is not None:
                    yield _whole(known, fetch)
                else:
                    break
        except P2PacsError as error:
            yield report(error)
        else:
            yield _complete(fetch)


def _complete(fetch: StudyFetch) -> JsonObject:
    """The end; with what the PACS lists and did not give, as a study without it is not whole."""
    end: JsonObject = {"complete": True, "instances": len(fetch.present)}
    if fetch.left_out.count:
        end |= {"left_out": fetch.left_out.count, "why": fetch.left_out.why}
    return end


def _whole(known: Known, fetch: StudyFetch) -> JsonObject:
    return {
        "number": known.number,
        "series": known.series,
        "series_number": known.series_number,
        "place": known.place,
        "sha256": known.entry.sha256.hex(),
        "size": known.entry.size,
        "known": len(fetch.known),
    }


async def levels(fetch: StudyFetch, batch: int = BATCH) -> AsyncGenerator[JsonObject, None]:
    """An object for each instance as it becomes known, and whenever it can be shown at a finer
    level; one when all can be shown; at last the end, or an error."""
    told = Levels()
    shown = -1
    with fetch.in_use():
        try:
            while True:
                mark = fetch.mark()
                await fetch.refresh()
                if fetch.current:  # before, an instance may be known that has changed since
                    for news in _news(told, fetch, batch):
                        yield _level(news, fetch)
                if fetch.settled and fetch.current:
                    if shown != told.previews == len(fetch.known):
                        shown = told.previews
                        yield {"previews": shown}
                    if told.whole:
                        break
                with trio.move_on_after(HEARTBEAT) as waiting:
                    await fetch.moved(mark)
                if waiting.cancelled_caught:
                    yield {"waiting": True}
        except P2PacsError as error:
            yield report(error)
        else:
            yield _complete(fetch)


def _news(told: Levels, fetch: StudyFetch, batch: int) -> Iterator[Reached]:
    """What is new; of many new instances a batch at a time."""
    known = tuple(fetch.known)
    for end in range(len(told) + batch, len(known), batch):
        yield from told.news(known[:end], fetch.transfer.have)
    yield from told.news(known, fetch.transfer.have)


def _level(news: Reached, fetch: StudyFetch) -> JsonObject:
    known = news.known
    return {
        "number": known.number,
        "series": known.series,
        "place": known.place,
        "level": news.level,
        "frames": known.entry.frames,
        "known": len(fetch.known),
    }
