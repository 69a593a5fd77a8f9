"""The DICOMweb services of a hospital as clients see them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.units import Endpoint
from peer.app import Peer
from tests.peer.world import World, described, instances, open_world
from tests.waiting import eventually

ROOT = "/dicom-web"


@asynccontextmanager
async def served(
    folder: Path, sent: list[EncodedInstance], **gateway: Any
) -> AsyncIterator[tuple[World, Peer, str]]:
    """A world with a study, and the URL of a peer's DICOMweb services."""
    async with open_world(folder) as world, trio.open_nursery() as nursery:
        if sent:
            await world.broker.publish(sent)
        else:
            world.broker.catalogue.upsert([world.broker.record()])
        peer = await world.add("a", gateway={"dicomweb": "127.0.0.1:0", **gateway})
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        where: Endpoint | None = await nursery.start(peer.serve_dicomweb)
        assert where is not None
        yield world, peer, f"http://{where}{ROOT}"
        nursery.cancel_scope.cancel()


def value(answer: dict[str, Any], keyword: str) -> Any:
    """The first value of an attribute."""
    return answer[tag(keyword)]["Value"][0]


async def test_studies_are_found(tmp_path: Path) -> None:
    async with served(tmp_path, instances(3)) as (world, _, root), httpx.AsyncClient() as http:
        answer = await http.get(f"{root}/studies?PatientName=gr*&limit=101&offset=0")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/dicom+json"
        assert "warning" not in answer.headers
        (study,) = answer.json()
        assert value(study, "StudyInstanceUID") == world.broker.uid
        assert value(study, "PatientName") == {"Alphabetic": "Grün^Zoë"}
        assert value(study, "NumberOfStudyRelatedInstances") == 3
        assert value(study, "RetrieveURL") == f"{root}/studies/{world.broker.uid}"
        none = await http.get(f"{root}/studies?PatientName=nobody")
        assert (none.status_code, none.json()) == (200, [])


async def test_series_and_instances_are_found(tmp_path: Path) -> None:
    async with served(tmp_path, instances(3)) as (world, _, root), httpx.AsyncClient() as http:
        uid = world.broker.uid
        world.broker.described = described(3)
        (series,) = (await http.get(f"{root}/studies/{uid}/series")).json()
        of = f"{root}/studies/{uid}/series/{value(series, 'SeriesInstanceUID')}"
        assert value(series, "RetrieveURL") == of
        assert tag("PatientName") not in series
        for path in (f"{root}/studies/{uid}", of):
            found = (await http.get(f"{path}/instances?includefield=ImageType")).json()
            assert len(found) == 3
            assert {value(one, "RetrieveURL").rpartition("/")[0] for one in found} == {
                f"{of}/instances"
            }
            assert {value(one, "InstanceNumber") for one in found} == {1, 2, 3}
        (one,) = (await http.get(f"{of}/instances?InstanceNumber=2&Rows=64")).json()
        assert value(one, "InstanceNumber") == 2
        assert (await http.get(f"{of}/instances?Rows=65")).json() == []


async def test_a_search_over_all_studies_names_the_study(tmp_path: Path) -> None:
    async with served(tmp_path, instances(2)) as (world, _, root), httpx.AsyncClient() as http:
        world.broker.described = described(2)
        (series,) = (await http.get(f"{root}/series?Modality=CT")).json()
        assert value(series, "StudyInstanceUID") == world.broker.uid
        assert value(series, "PatientName") == {"Alphabetic": "Grün^Zoë"}
        found = (await http.get(f"{root}/instances?InstanceNumber=2")).json()
        assert [value(one, "Modality") for one in found] == ["CT"]


async def test_pages(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, peer, root), httpx.AsyncClient() as http:
        studies = [_study(number) for number in range(25)]
        world.broker.catalogue.upsert(studies)
        peer.index.upsert(studies)
        seen = []
        for offset in (0, 10, 20):
            page = await http.get(f"{root}/studies?PatientID=Q*&limit=10&offset={offset}")
            assert ("additional" in page.headers.get("warning", "").lower()) is (offset < 20)
            seen += [value(one, "StudyInstanceUID") for one in page.json()]
        assert sorted(seen) == sorted(study.uid for study in studies)
        async with DicomwebClient(root) as client:
            search = client.studies({"PatientID": "Q*"})
            assert len([one async for one in search]) == 25
            assert not search.is_cut


def _study(number: int) -> StudyRecord:
    return StudyRecord(
        StudyId(number.to_bytes(16)),
        f"1.2.3.{number}",
        {tag("PatientID"): entry("LO", f"Q{number}")},
        (SeriesRecord(f"1.2.3.{number}.1", {tag("Modality"): entry("CS", "MR")}),),
    )


async def test_what_is_not_matched_is_said(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (_, _, root), httpx.AsyncClient() as http:
        answer = await http.get(f"{root}/studies?fuzzymatching=true&PatientComments=x")
        first, second = answer.headers.get_list("warning")
        assert first.startswith("299 ")
        assert "Only literal matching" in first
        assert "PatientComments" in second
        assert len(answer.json()) == 1


async def test_what_cannot_be_understood_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, _, root), httpx.AsyncClient() as http:
        for query in (
            "Nonsense=1", "StudyDate=2026-01-10", "limit=-1", "limit=x", "offset=1&offset=2",
            "fuzzymatching=maybe", "includefield=Nonsense", "PatientName=%ff",
            "PatientID=a&PatientID=b", f"StudyInstanceUID={world.broker.uid}*",
        ):  # fmt: skip
            answer = await http.get(f"{root}/studies?{query}")
            assert answer.status_code == 400, query
            assert answer.json()["error"] == "UsageError"
        rest = {"/studies/1.2.3.4/series": 404, "/studies/%3C/series": 400, "/nowhere": 404}
        for path, status in rest.items():
            assert (await http.get(root + path)).status_code == status
        assert "/dicom-web/studies" in (await http.get(root + "/nowhere")).json()["message"]
        refused = await http.delete(f"{root}/studies")
        assert (refused.status_code, "GET" in refused.headers["allow"]) == (405, True)


async def test_nothing_is_stored(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, _, root), httpx.AsyncClient() as http:
        for path in ("/studies", f"/studies/{world.broker.uid}"):
            answer = await http.post(root + path, content=b"x" * 1000)
            assert answer.status_code == 403
            assert "PACS" in answer.json()["message"]


async def test_of_a_revoked_member_no_names_are_told(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, peer, root), httpx.AsyncClient() as http:
        await eventually(lambda: peer.identity.broker in peer.host.mesh.links)
        world.revoke("a")
        await eventually(lambda: peer.host.mesh.refused.get(peer.identity.broker))
        answer = await http.get(f"{root}/studies")
        assert (answer.status_code, answer.json()["error"]) == (403, "RevokedError")


async def test_other_hosts_are_refused(tmp_path: Path) -> None:
    async with (
        served(tmp_path, [], dicomweb_names=["pacs.example"]) as (_, _, root),
        httpx.AsyncClient() as http,
    ):
        for host, status in {"evil.example": 421, "pacs.example": 200, "localhost:1": 200}.items():
            answer = await http.get(f"{root}/studies", headers={"Host": host})
            assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers


async def test_a_replica_serves_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        peer = await world.add("r", Role.REPLICA, gateway={"dicomweb": "127.0.0.1:0"})
        assert await nursery.start(peer.serve_dicomweb) is None
