import json
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import NoSourceError
from p2pacs.swarm.scheduling.priority import Priority
from peer.api.activity import HEARTBEAT
from peer.api.api import make_api, make_token
from peer.api.streams import instances, levels
from peer.retrieval.instances.viewport import ViewRequest
from tests.p2pacs.study.samples import instance
from tests.peer.fake_peer import PREVIEWS, STUDY, FakeFetch, FakePeer

UID = "1.2.840.99"


@pytest.fixture
def fake() -> FakePeer:
    return FakePeer(FakeFetch([instance(n, rows=8, columns=8) for n in (1, 2, 3)]))


@pytest.fixture
async def http(fake: FakePeer) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_api(fake, "secret"))
    headers = {"Authorization": "Bearer secret"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8711", headers=headers
    ) as client:
        yield client


async def _fetched(http: httpx.AsyncClient) -> str:
    answer = await http.post("/studies/fetch", json={"study_instance_uid": UID})
    study: str = answer.json()["study"]
    return study


def _objects(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_the_token_is_new_each_time_and_for_its_owner_only(tmp_path: Path) -> None:
    first, second = make_token(tmp_path), make_token(tmp_path)
    assert first != second
    assert (tmp_path / "api.token").read_text() == second + "\n"
    assert stat.S_IMODE((tmp_path / "api.token").stat().st_mode) == 0o600


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic secret", "Bearer secret "])
@pytest.mark.parametrize("path", ["/status", "/transfers", "/nothing"])
async def test_nothing_without_the_token(fake: FakePeer, given: str | None, path: str) -> None:
    headers = {"Authorization": given} if given else {}
    transport = httpx.ASGITransport(make_api(fake, "secret"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8711") as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == 401
    assert "api.token" in answer.json()["message"]


@pytest.mark.parametrize(("host", "status"), [("evil.example:8711", 421), ("localhost:8711", 200)])
async def test_a_name_from_elsewhere_is_not_answered(
    http: httpx.AsyncClient, host: str, status: int
) -> None:
    answer = await http.get("/status", headers={"Host": host})
    assert answer.status_code == status


async def test_status_and_transfers(http: httpx.AsyncClient) -> None:
    assert (await http.get("/status")).json()["name"] == "a"
    (transfer,) = (await http.get("/transfers")).json()["transfers"]
    assert transfer["study"] == str(STUDY)


async def test_find_knows_its_keys(http: httpx.AsyncClient, fake: FakePeer) -> None:
    answer = await http.post("/find", json={"patient_name": "Doe*", "modality": "CT"})
    assert answer.json() == {"studies": [{"patient_id": "P1"}]}
    assert fake.asked == [{"PatientName": "Doe*", "ModalitiesInStudy": "CT"}]
    assert (await http.post("/find", json={"shoe_size": "44"})).status_code == 400
    assert (await http.post("/find", json={"sent": True})).status_code == 200
    assert fake.asked[-1] == {"sent": "yes"}
    assert (await http.post("/find", json={"sent": "yes"})).status_code == 400


async def test_how_urgent_a_fetch_is(http: httpx.AsyncClient, fake: FakePeer) -> None:
    await _fetched(http)
    assert fake.priorities == [Priority.INTERACTIVE]
    body = {"study_instance_uid": UID, "priority": "stat"}
    assert (await http.post("/studies/fetch", json=body)).is_success
    assert fake.priorities == [Priority.INTERACTIVE, Priority.STAT]
    answer = await http.post("/studies/fetch", json={**body, "priority": "at once"})
    assert answer.status_code == 400
    assert "one of stat, interactive" in answer.json()["message"]


@pytest.mark.parametrize("body", ["", "[1]", "{", '{"study_instance_uid": 5}', "{}", "[" * 60_000])
async def test_bodies_that_are_none(http: httpx.AsyncClient, body: str) -> None:
    answer = await http.post("/studies/fetch", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "UsageError"


async def test_instances_come_one_a_line_and_then_the_end(
    http: httpx.AsyncClient, fake: FakePeer
) -> None:
    study = await _fetched(http)
    assert UID not in study
    lines = _objects(await http.get(f"/studies/{study}/instances"))
    assert [(line["number"], line["series"]) for line in lines[:-1]] == [(1, 1), (2, 1), (3, 1)]
    assert lines[-1] == {"complete": True, "instances": 3}
    assert fake.fetch.users == 0


async def test_an_error_ends_the_lines(http: httpx.AsyncClient, fake: FakePeer) -> None:
    fake.fetch.stops_after, fake.fetch.error = 1, NoSourceError("nobody has it")
    lines = _objects(await http.get(f"/studies/{await _fetched(http)}/instances"))
    assert len(lines) == 2
    assert lines[1]["error"] == "NoSourceError"


async def test_an_instance_is_a_dicom_file(http: httpx.AsyncClient, fake: FakePeer) -> None:
    answer = await http.get(f"/studies/{await _fetched(http)}/instances/2")
    assert answer.headers["content-type"] == "application/dicom"
    assert EncodedInstance.from_part10(answer.content) == fake.fetch.instances[1]


@pytest.mark.parametrize("path", [f"{STUDY}/instances", f"{'0' * 32}/instances/1"])
async def test_a_study_that_was_not_fetched(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"/studies/{path}")).status_code == 404


async def test_instances_that_are_not_there(http: httpx.AsyncClient) -> None:
    study = await _fetched(http)
    assert (await http.get(f"/studies/{study}/instances/4")).status_code == 404
    assert (await http.get("/studies/xyz/instances/1")).status_code == 400
    for number in ("9" * 5000, "0x1", "-1", "1.0"):
        for path in (number, f"{number}/preview"):
            assert (await http.get(f"/studies/{study}/instances/{path}")).status_code == 404


async def test_levels_are_told_as_they_come(fake: FakePeer, autojump_clock: MockClock) -> None:
    fake.fetch.frames = 5
    fake.fetch.missing = {PREVIEWS + 2, 1, 2, 3}
    lines = levels(fake.fetch)  # type: ignore[arg-type]
    async with aclosing(lines):
        first = [await anext(lines) for _ in range(3)]
        assert first[0] == {
            "number": 1, "series": 1, "place": 1, "level": 2, "frames": 5, "known": 3,
        }  # fmt: skip
        assert [(one["number"], one["level"]) for one in first] == [(1, 2), (2, None), (3, 2)]
        assert await anext(lines) == {"waiting": True}
        fake.fetch.arrive(PREVIEWS + 2)
        assert (await anext(lines))["level"] == 2
        assert await anext(lines) == {"previews": 3}
        fake.fetch.arrive(3)
        finer = await anext(lines)
        assert (finer["number"], finer["level"]) == (3, 0)
        fake.fetch.arrive(1, 2)
        rest = [one async for one in lines]
        assert [(one["number"], one["level"]) for one in rest[:-1]] == [(1, 0), (2, 0)]
        assert rest[-1] == {"complete": True, "instances": 3}
    assert fake.fetch.users == 0


async def test_levels_of_a_study_that_is_here(http: httpx.AsyncClient) -> None:
    lines = _objects(await http.get(f"/studies/{await _fetched(http)}/levels"))
    assert [(one["number"], one["level"]) for one in lines[:3]] == [(1, 0), (2, 0), (3, 0)]
    assert lines[3:] == [{"previews": 3}, {"complete": True, "instances": 3}]


async def test_many_instances_are_told_a_batch_at_a_time(fake: FakePeer) -> None:
    lines = [one async for one in levels(fake.fetch, batch=1)]  # type: ignore[arg-type]
    assert [one.get("number") for one in lines] == [1, 2, 3, None, None]


async def test_nothing_is_told_of_an_older_version(
    fake: FakePeer, autojump_clock: MockClock
) -> None:
    fake.fetch.current = False
    lines = levels(fake.fetch)  # type: ignore[arg-type]
    async with aclosing(lines):
        assert await anext(lines) == {"waiting": True}
        fake.fetch.current = True
        fake.fetch.arrive()
        assert (await anext(lines))["number"] == 1


async def test_an_error_ends_the_levels(http: httpx.AsyncClient, fake: FakePeer) -> None:
    fake.fetch.missing, fake.fetch.error = {2}, NoSourceError("nobody has it")
    lines = _objects(await http.get(f"/studies/{await _fetched(http)}/levels"))
    assert lines[-1]["error"] == "NoSourceError"


async def test_a_preview_is_a_picture_that_says_so(http: httpx.AsyncClient, fake: FakePeer) -> None:
    fake.fetch.frames = 5
    path = f"/studies/{await _fetched(http)}/instances/2/preview"
    answer = await http.get(path)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-p2pacs-level"] == "2"
    assert b"preview, not for diagnosis" in answer.content
    assert (await http.get(path, params={"frame": 4, "level": 1})).is_success
    assert fake.fetch.shown == [(2, None, None), (2, 4, 1)]
    for query in ({"frame": "x"}, {"level": "-1"}, {"level": "9" * 10}, {"frame": "²"}):
        assert (await http.get(path, params=query)).status_code == 400


async def test_there_is_no_preview_yet(http: httpx.AsyncClient, fake: FakePeer) -> None:
    fake.fetch.frames, fake.fetch.missing = 1, {PREVIEWS + 2}
    study = await _fetched(http)
    answer = await http.get(f"/studies/{study}/instances/2/preview")
    assert answer.status_code == 404
    assert answer.json()["error"] == "NotFoundError"
    assert (await http.get(f"/studies/{study}/instances/9/preview")).status_code == 404
    assert not fake.fetch.reads


async def test_cancel(http: httpx.AsyncClient, fake: FakePeer) -> None:
    study = await _fetched(http)
    assert (await http.post(f"/transfers/{study}/cancel")).is_success
    assert fake.fetch.given_up


async def test_a_transfer_can_be_more_urgent(http: httpx.AsyncClient, fake: FakePeer) -> None:
    study = await _fetched(http)
    path = f"/transfers/{study}/priority"
    assert (await http.post(path, json={"priority": "STAT"})).is_success
    assert fake.priorities[-1] is Priority.STAT
    for body in ({}, {"priority": 3}, {"priority": "soon"}):
        assert (await http.post(path, json=body)).status_code == 400
    other = f"/transfers/{'0' * 32}/priority"
    assert (await http.post(other, json={"priority": "stat"})).status_code == 404


async def test_what_is_looked_at(http: httpx.AsyncClient, fake: FakePeer) -> None:
    path = f"/transfers/{await _fetched(http)}/view"
    answer = await http.post(path, json={"series": 1, "instances": [2, 9]})
    assert answer.json() == {"instances": 2, "known": 3}
    assert (await http.post(path, json={"series_instance_uid": "1.9"})).json()["instances"] == 0
    assert (await http.post(path, json={})).is_success
    first, second, ended = fake.views
    assert first == ViewRequest(series=1, instances=(2, 9))
    assert second == ViewRequest(series_instance_uid="1.9")
    assert ended is None
    assert (await http.post(path, json={"page": 1})).status_code == 400


async def test_a_stream_that_waits_says_so(fake: FakePeer, autojump_clock: MockClock) -> None:
    fake.fetch.stops_after = 1
    lines = instances(fake.fetch)  # type: ignore[arg-type]
    async with aclosing(lines):
        said = [await anext(lines) for _ in range(3)]
        assert said[1:] == [{"waiting": True}] * 2
        assert trio.current_time() >= 2 * HEARTBEAT
        assert fake.fetch.users == 1
    assert fake.fetch.users == 0
