"""The registration form is filled in as a browser does it."""

import httpx
import pytest

from scripts import form
from scripts.program import ScriptError

FORM = """<form method="post" action="/members"><input type="hidden" name="csrf" value="c&amp;1">
<input name="name" value=""><input type="password" name="password"></form>"""


async def test_forms_are_sent_with_their_hidden_fields() -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, text=FORM)
        sent.append(request.content.decode())
        return httpx.Response(200, text='<p>Done</p><code id="token">p2pacs1-ABC</code>')

    async with httpx.AsyncClient(
        base_url="http://broker", transport=httpx.MockTransport(answer)
    ) as http:
        page = await form.submit(http, "/members/new", "/members", {"name": "a"})
    assert page.token == "p2pacs1-ABC"
    assert sent == ["csrf=c%261&name=a"]


async def test_a_refused_form_is_an_error_with_its_alert() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, text=FORM)
        return httpx.Response(400, text='<p role="alert">This name is taken.</p>')

    async with httpx.AsyncClient(
        base_url="http://broker", transport=httpx.MockTransport(answer)
    ) as http:
        with pytest.raises(ScriptError, match=r"400: This name is taken"):
            await form.submit(http, "/members/new", "/members", {"name": "a"})


async def test_a_page_without_a_token_is_an_error() -> None:
    async with httpx.AsyncClient(
        base_url="http://broker",
        transport=httpx.MockTransport(lambda _: httpx.Response(200, text=FORM)),
    ) as http:
        with pytest.raises(ScriptError, match="no token"):
            await form.Administrator(http).register({"name": "a"})
