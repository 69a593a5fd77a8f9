"""Answers that are sent while they are read; with real clients they are in tests/peer/gateway."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
from attrs import frozen
from starlette.types import Message, Scope
from trio.testing import wait_all_tasks_blocked

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dicomweb.accept import Accept
from p2pacs.dicomweb.multipart import MultipartParser, boundary_of
from p2pacs.dicomweb.server.streamed import (
    MultipartAnswer,
    etag,
    offered_files,
    pieces_of,
    plain,
)
from p2pacs.limits import MIB
from p2pacs.study.study_index import InstanceEntry
from tests.p2pacs.study import samples

GET: Scope = {"type": "http", "method": "GET", "http_version": "1.1"}


def outline(number: int, size: int, syntax: str = samples.EXPLICIT) -> InstanceEntry:
    return InstanceEntry("1.2", f"1.3.{number}", "1.4", syntax, b"", size, (), b"")


@frozen
class Given:
    """An instance that lies somewhere."""

    outline: InstanceEntry
    data: bytes

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        half = len(self.data) // 2
        yield self.data[:half]
        yield self.data[half:]

    async def read_into(self, buffer: memoryview) -> None:
        buffer[:] = self.data


@frozen
class Opened:
    """A study, as far as its answer asks."""

    outline: Sequence[InstanceEntry] | None
    missing: int = 0
    why: str = ""


def given(*sizes: int) -> list[Given]:
    return [
        Given(outline(number, size), bytes([65 + number % 26]) * size)
        for number, size in enumerate(sizes)
    ]


async def answered(
    opened: Opened,
    runs: Sequence[Sequence[Given]],
    sending: Callable[[Message], Awaitable[None]] | None = None,
) -> tuple[Any, list[Message]]:
    async def others() -> AsyncGenerator[Sequence[Given], None]:
        for run in runs[1:]:
            yield run

    messages: list[Message] = []

    async def receive() -> Message:
        await trio.sleep_forever()

    async def send(message: Message) -> None:
        messages.append(message)
        if sending is not None:
            await sending(message)

    answer = MultipartAnswer(
        opened,  # type: ignore[arg-type]
        AsyncExitStack(),
        "7f",
        first=runs[0],
        others=others(),
        accept=Accept.parse([]),
    )
    await answer(GET, receive, send)
    return answer.headers, messages


def body(messages: Sequence[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in messages[1:])


def is_whole(messages: Sequence[Message]) -> bool:
    return not messages[-1].get("more_body", False)


@pytest.mark.parametrize("known", [True, False])
async def test_parts_small_and_large_come_in_order(known: bool) -> None:
    sizes = (10, MIB, 700_000, 0, 3 * MIB + 1, 2 * MIB, 12)
    sent = given(*sizes)
    opened = Opened([one.outline for one in sent] if known else None)
    headers, messages = await answered(opened, [sent[:1], sent[1:4], sent[4:]])
    assert is_whole(messages)
    whole = body(messages)
    parser = MultipartParser(boundary_of(headers["content-type"]))
    parts = parser.feed(whole)
    parser.finish()
    files = [EncodedInstance.from_part10(part.body()) for part in parts]
    assert [file.data for file in files] == [one.data for one in sent]
    assert ("content-length" in headers) is known
    if known:
        assert int(headers["content-length"]) == len(whole)


async def test_the_next_piece_is_made_while_one_is_sent_but_not_of_the_next_run() -> None:
    """What a run was read from is let go of, and counts as taken, when all of it was sent."""
    read = list[int]()

    @frozen
    class Noted(Given):
        async def read_into(self, buffer: memoryview) -> None:
            read.append(int(self.outline.sop_instance_uid.rpartition(".")[2]))
            await super().read_into(buffer)

    sent = [Noted(one.outline, one.data) for one in given(*[2_000_000] * 5)]
    seen = list[list[int]]()

    async def sending(message: Message) -> None:
        if len(message.get("body", b"")) > MIB:
            await wait_all_tasks_blocked()
            seen.append(list(read))

    _, messages = await answered(Opened(None), [sent[:3], sent[3:]], sending)
    assert is_whole(messages)
    assert seen == [[0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("change", ["more", "less", "larger"])
async def test_what_is_not_as_it_was_told_does_not_look_whole(change: str) -> None:
    told = [one.outline for one in given(10, 20, 30)]
    sent = {"more": given(10, 20, 30, 1), "less": given(10, 20), "larger": given(10, 20, 31)}
    headers, messages = await answered(Opened(told), [[one] for one in sent[change]])
    assert not is_whole(messages)
    assert len(body(messages)) < int(headers["content-length"])


def test_as_it_is_stored() -> None:
    parts, alone = offered_files("1.2", is_one=True)
    assert parts.multipart
    assert alone.content_type == "application/dicom; transfer-syntax=1.2"
    assert offered_files("1.2", is_one=False) == [parts]


def test_what_stands_in_headers_is_plain() -> None:
    assert plain('a "b"\\ü\r\nX: y') == "a ?b?????X: y"
    assert etag("ab") == 'W/"ab"'


def test_pieces() -> None:
    data = bytes(3 * 2**20 + 5)
    assert b"".join(pieces_of(data)) == data
    assert max(map(len, pieces_of(data))) < 2**20
