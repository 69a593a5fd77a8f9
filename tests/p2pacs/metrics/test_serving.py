from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from pydantic import ValidationError

from p2pacs.errors import StateError
from p2pacs.metrics.definitions import metrics_of
from p2pacs.metrics.readings import MetricReading, Scrape
from p2pacs.metrics.serving import SECONDS, make_metrics, read_token, run_metrics
from p2pacs.settings import MetricsSettings
from p2pacs.web.openapi import ERROR, error
from tests.described import check_kept, described, operations_of, routes_of

TOKEN = "a-token-of-some-length"
METRICS = metrics_of("peer")


async def _gather() -> Scrape:
    return Scrape((MetricReading("links", 3, ("broker",)),), {})


async def _never() -> Scrape:
    await trio.sleep_forever()
    raise AssertionError


def _client(app: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]
        base_url="http://127.0.0.1:9470",
    )


async def test_it_is_there_on_loopback_without_a_token() -> None:
    async with _client(make_metrics(_gather, METRICS, None)) as http:
        answer = await http.get("/metrics")
        assert answer.status_code == 200
        assert 'p2pacs_links{role="broker"} 3.0' in answer.text
        assert (await http.get("/")).status_code == 404
        assert (await http.post("/metrics")).status_code == 405


DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "What Prometheus asks", "version": "1"},
    "paths": {
        "/metrics": {
            "get": {
                "parameters": [
                    {"name": "Accept", "in": "header", "schema": {"type": "string"}},
                    {"name": "name[]", "in": "query", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "description": "The metrics",
                        "content": {
                            "text/plain": {"schema": {"type": "string"}},
                            "application/openmetrics-text": {"schema": {"type": "string"}},
                        },
                    },
                    **{code: error("Refused") for code in ("400", "401", "408", "413", "421")},
                },
            }
        }
    },
    "components": {"schemas": {"Error": ERROR}},
}


@pytest.mark.parametrize("token", [None, TOKEN])
def test_whatever_is_asked_is_answered(token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    (operation,) = operations_of(DESCRIPTION).values()
    check_kept(operation, lambda: make_metrics(_gather, METRICS, token), there={}, headers=headers)


def test_nothing_else_is_served() -> None:
    assert described(DESCRIPTION) == routes_of(make_metrics(_gather, METRICS, None))


async def test_a_page_elsewhere_cannot_read_it_by_a_name_of_its_own() -> None:
    async with _client(make_metrics(_gather, METRICS, None)) as http:
        answer = await http.get("/metrics", headers={"Host": "evil.example"})
        assert answer.status_code == 421


async def test_with_a_token_nobody_else_reads() -> None:
    async with _client(make_metrics(_gather, METRICS, TOKEN)) as http:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": TOKEN}):
            answer = await http.get("/metrics", headers=headers)
            assert answer.status_code == 401
            assert "p2pacs_" not in answer.text
        given = {"Authorization": f"Bearer {TOKEN}", "Host": "broker.hospital.example"}
        assert (await http.get("/metrics", headers=given)).status_code == 200


async def test_a_scrape_that_takes_too_long_says_so(autojump_clock: trio.testing.MockClock) -> None:
    async with _client(make_metrics(_never, METRICS, None)) as http:
        began = trio.current_time()
        answer = await http.get("/metrics", timeout=10 * SECONDS)
        assert answer.status_code == 503
        assert trio.current_time() - began == SECONDS


async def test_it_is_off_unless_it_is_set(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        said = await nursery.start(run_metrics, _gather, METRICS, tmp_path, MetricsSettings())
        assert said is None
        nursery.cancel_scope.cancel()


async def test_it_listens_with_the_token_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.token").write_text(TOKEN + "\n")
    said = {"listen": "127.0.0.1:0", "token_file": "metrics.token"}
    settings = MetricsSettings.model_validate(said)
    async with trio.open_nursery() as nursery:
        where = await nursery.start(run_metrics, _gather, METRICS, tmp_path, settings)
        async with httpx.AsyncClient(
            base_url=f"http://{where}", trust_env=False, timeout=60
        ) as http:
            given = {"Authorization": f"Bearer {TOKEN}"}
            assert (await http.get("/metrics")).status_code == 401
            answer = await http.get("/metrics", headers=given)
            assert "# TYPE p2pacs_loop_lag_seconds histogram" in answer.text
        nursery.cancel_scope.cancel()


def test_others_may_reach_it_only_with_a_token() -> None:
    with pytest.raises(ValidationError, match="token_file"):
        MetricsSettings.model_validate({"listen": "0.0.0.0:9470"})
    MetricsSettings.model_validate({"listen": "0.0.0.0:9470", "token_file": "metrics.token"})
    MetricsSettings.model_validate({"listen": "[::1]:9470"})


@pytest.mark.parametrize(
    "text", [b"", b"short", b"not of ASCII \xff but long", b"two\nlines here it is"]
)
def test_what_is_no_token_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "token").write_bytes(text)
    with pytest.raises(StateError, match="token"):
        read_token(tmp_path / "token")


def test_a_token_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        read_token(tmp_path / "token")
