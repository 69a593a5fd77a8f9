import pytest
from starlette.requests import Request

from p2pacs.dicomweb.server.retrieve import _is_known


@pytest.mark.parametrize(
    ("said", "known"),
    [("", False), ('"b"', False), ('W/"a"', True), ('"b", "a"', True), ("*", True)],
)
def test_what_the_client_has(said: str, known: bool) -> None:
    headers = [(b"if-none-match", said.encode())] if said else []
    assert _is_known(Request({"type": "http", "headers": headers}), "a") is known
