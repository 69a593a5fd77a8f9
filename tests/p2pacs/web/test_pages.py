from pathlib import Path

import httpx
import pytest
from jinja2 import UndefinedError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from p2pacs.errors import NotFoundError
from p2pacs.web.answers import error_handlers
from p2pacs.web.pages import Pages, static_files

REQUEST = Request({"type": "http", "method": "GET", "path": "/", "headers": []})


def _pages(folder: Path) -> Pages:
    (folder / "hello.html").write_text(
        '{% extends "layout.html" %}{% block title %}Hi{% endblock %}'
        "{% block main %}<p>{{ 'a' | loud }} {{ name }} {{ here }}</p>{% endblock %}"
    )
    pages = Pages(folder, here="North")
    pages.filter(loud=str.upper)
    return pages


def test_pages_stand_in_the_layout_and_are_escaped(tmp_path: Path) -> None:
    html = bytes(_pages(tmp_path).page(REQUEST, "hello.html", name="<b>").body).decode()
    assert "<p>A &lt;b&gt; North</p>" in html
    assert "Skip to the content" in html
    assert '<html lang="en">' in html
    assert "<script" not in html
    assert "style=" not in html


def test_a_forgotten_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        _pages(tmp_path).page(REQUEST, "hello.html")


async def test_error_pages_and_static_files(tmp_path: Path) -> None:
    async def fail(_request: Request) -> Response:
        raise NotFoundError("no such member: <x>")

    pages = _pages(tmp_path)
    app = Starlette(
        routes=[Route("/fail", fail), static_files()],
        exception_handlers=error_handlers(pages.error),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        answer = await client.get("/fail")
        assert answer.status_code == 404
        assert "no such member: &lt;x&gt;" in answer.text
        style = await client.get("/static/p2pacs.css")
        assert style.headers["content-type"].startswith("text/css")
        assert "max-age" in style.headers["cache-control"]
        assert "url(" not in style.text
