"""Bodies that are sent as they are; how connections do it is in test_connections."""

from starlette.types import Message, Scope

from p2pacs.web.body import STATE, SendBody, body_sender


async def test_without_a_connection_of_ours_it_goes_by_messages() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    none: list[Scope] = [{"type": "http"}, {"type": "http", "state": {STATE: lambda: None}}]
    for scope in none:
        buffer = bytearray(b"one")
        await body_sender(scope, send)(memoryview(buffer))
        buffer[:] = b"two"  # it may change as soon as it is sent
        assert sent.pop() == {"type": "http.response.body", "body": b"one", "more_body": True}


async def test_a_connection_that_offers_it_is_taken() -> None:
    sent: list[bytes] = []

    async def direct(piece: bytes | memoryview) -> None:
        sent.append(bytes(piece))

    async def send(message: Message) -> None:
        raise AssertionError

    def offered() -> SendBody:
        return direct

    await body_sender({"type": "http", "state": {STATE: offered}}, send)(b"one")
    assert sent == [b"one"]
