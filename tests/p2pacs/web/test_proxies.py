import ipaddress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from p2pacs.web.proxies import BehindProxies, client_address

PROXIES = [ipaddress.ip_network("10.0.0.0/30"), ipaddress.ip_network("fd12::/64")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd12::1", "203.0.113.9", "203.0.113.9"),
        ("203.0.113.7", "203.0.113.9", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, <b>", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2," * 20, "10.0.0.1"),
    ],
)
def test_the_first_that_is_no_proxy(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


@given(st.text(), st.lists(st.text()))
def test_only_an_address_is_ever_believed(peer: str, hops: list[str]) -> None:
    client = client_address("10.0.0.1", ",".join(hops), PROXIES)
    ipaddress.ip_address(client)
    assert client_address(peer, ",".join(hops), []) == peer


@pytest.mark.parametrize(("peer", "client"), [("10.0.0.1", "203.0.113.9"), ("10.0.0.9", None)])
async def test_the_application_sees_the_client(peer: str, client: str | None) -> None:
    async def who(request: Request) -> Response:
        assert request.client is not None
        return PlainTextResponse(request.client.host)

    app = BehindProxies(Starlette(routes=[Route("/", who)]), PROXIES)
    transport = httpx.ASGITransport(app, client=(peer, 1))
    headers = {"X-Forwarded-For": "203.0.113.9"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/", headers=headers)).text == (client or peer)


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", " HTTPS ", "https"),
        ("10.0.0.1", "http", "http"),
        ("10.0.0.1", "gopher", "http"),
        ("10.0.0.1", "https, http", "http"),
        ("10.0.0.9", "https", "http"),
    ],
)
async def test_the_application_sees_how_the_browser_came(peer: str, said: str, scheme: str) -> None:
    async def where(request: Request) -> Response:
        return PlainTextResponse(request.url.scheme)

    app = BehindProxies(Starlette(routes=[Route("/", where)]), PROXIES)
    transport = httpx.ASGITransport(app, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/", headers={"X-Forwarded-Proto": said})).text == scheme
