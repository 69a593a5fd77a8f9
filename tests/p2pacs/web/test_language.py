import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from p2pacs.languages import _, speak
from p2pacs.web.language import Language


async def _page(_request: Request) -> Response:
    return HTMLResponse(_("Language"), headers={"Vary": "Origin"})


async def _other(_request: Request) -> Response:
    speak("pt")  # as for somebody who is signed in
    return HTMLResponse(_("Language"))


async def _plain(_request: Request) -> Response:
    return PlainTextResponse(_("Language"))


APP = Starlette(
    routes=[Route("/", _page), Route("/other", _other), Route("/plain", _plain)],
    middleware=[Middleware(Language, cookie="spoken")],
)


@pytest.mark.parametrize(
    ("headers", "language", "text"),
    [
        ({}, "en", "Language"),
        ({"Accept-Language": "de-CH"}, "de", "Sprache"),
        ({"Accept-Language": "de", "Cookie": "spoken=es"}, "es", "Idioma"),
        ({"Accept-Language": "de", "Cookie": "spoken=<b>"}, "de", "Sprache"),
    ],
)
async def test_a_page_comes_in_the_language_of_its_reader(
    headers: dict[str, str], language: str, text: str
) -> None:
    transport = httpx.ASGITransport(APP)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        page = await http.get("/", headers=headers)
        assert page.text == text
        assert page.headers["Content-Language"] == language
        assert page.headers["Vary"] == "Origin, Accept-Language, Cookie"
        other = await http.get("/other", headers=headers)
        assert (other.text, other.headers["Content-Language"]) == ("Idioma", "pt")
        plain = await http.get("/plain", headers=headers)
        assert plain.text == text
        assert "Content-Language" not in plain.headers
