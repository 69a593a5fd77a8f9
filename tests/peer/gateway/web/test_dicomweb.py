"""The DICOMweb services of a hospital as clients see them."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgpack
import pydicom
import pytest
import trio
from attrs import evolve
from dicomweb_client import DICOMwebClient

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import entry, text
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.errors import CodingError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.study.excerpt import Excerpts
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import LeftOut
from p2pacs.units import Endpoint
from peer.app import Peer
from peer.retrieval.instances.live_index import Known
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.components import orthanc
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_early import slices
from tests.peer.retrieval.test_large_reads import compressed, volume
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid
from tests.peer.world import World, described, instances, open_world
from tests.waiting import eventually

ROOT = "/dicom-web"


@asynccontextmanager
async def served(
    folder: Path, sent: list[EncodedInstance], **gateway: Any
) -> AsyncIterator[tuple[World, Peer, str]]:
    """A world with a study, and the URL of a peer's DICOMweb services."""
    folder.mkdir(exist_ok=True)
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
    async with (
        served(tmp_path, instances(3)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
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
    async with (
        served(tmp_path, instances(3)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
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
    async with (
        served(tmp_path, instances(2)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        world.broker.described = described(2)
        (series,) = (await http.get(f"{root}/series?Modality=CT")).json()
        assert value(series, "StudyInstanceUID") == world.broker.uid
        assert value(series, "PatientName") == {"Alphabetic": "Grün^Zoë"}
        found = (await http.get(f"{root}/instances?InstanceNumber=2")).json()
        assert [value(one, "Modality") for one in found] == ["CT"]


async def test_pages(tmp_path: Path) -> None:
    async with (
        served(tmp_path, []) as (world, peer, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        studies = [_study(number) for number in range(25)]
        world.broker.catalogue.upsert(studies)
        peer.index.upsert(studies)
        seen = []
        for offset in (0, 10, 20):
            page = await http.get(f"{root}/studies?PatientID=Q*&limit=10&offset={offset}")
            assert ("additional" in page.headers.get("warning", "").lower()) is (offset < 20)
            seen += [value(one, "StudyInstanceUID") for one in page.json()]
        # The latest first, those without a date last.
        dated = sorted((study for study in studies if study_date(study)), key=study_date)
        assert seen[: len(dated)] == [study.uid for study in reversed(dated)]
        assert sorted(seen) == sorted(study.uid for study in studies)
        passed_over = []  # the same of all studies, which are passed over unread
        for offset in (0, 10, 20, 30):
            page = await http.get(f"{root}/studies?limit=10&offset={offset}")
            passed_over += [value(one, "StudyInstanceUID") for one in page.json()]
        assert [uid for uid in passed_over if uid in seen] == seen
        assert len(passed_over) == len(set(passed_over)) == len(peer.index)
        async with DicomwebClient(root) as client:
            search = client.studies({"PatientID": "Q*"})
            assert len([one async for one in search]) == 25
            assert not search.is_cut


def study_date(study: StudyRecord) -> str:
    return text(study.attributes, "StudyDate")


def _study(number: int) -> StudyRecord:
    return StudyRecord(
        StudyId(number.to_bytes(16)),
        f"1.2.3.{number}",
        {
            tag("PatientID"): entry("LO", f"Q{number}"),
            tag("StudyDate"): entry("DA", f"202401{number + 1:02}" if number % 3 else ""),
        },
        (SeriesRecord(f"1.2.3.{number}.1", {tag("Modality"): entry("CS", "MR")}),),
    )


async def test_what_is_not_matched_is_said(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (_, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        answer = await http.get(f"{root}/studies?emptyvaluematching=true&PatientComments=x")
        first, second = answer.headers.get_list("warning")
        assert first.startswith("299 ")
        assert "emptyvaluematching" in first
        assert "PatientComments" in second
        assert len(answer.json()) == 1


async def test_names_that_sound_alike_are_found(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        for fuzzy, found in (("true", [world.broker.uid]), ("false", [])):
            url = f"{root}/studies?fuzzymatching={fuzzy}&PatientName=Zoe%20Gruen"
            answer = await http.get(url)
            assert [value(one, "StudyInstanceUID") for one in answer.json()] == found
            assert "warning" not in answer.headers


async def test_what_cannot_be_understood_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
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
    async with served(tmp_path, []) as (world, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        for path in ("/studies", f"/studies/{world.broker.uid}"):
            answer = await http.post(root + path, content=b"x" * 1000)
            assert answer.status_code == 403
            assert "PACS" in answer.json()["message"]


@pytest.mark.orthanc
async def test_orthanc_finds_and_retrieves(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path / "world", sent) as (world, _, root):
        uid = world.broker.uid

        def use() -> set[bytes]:
            web = {"Enable": True, "Root": "/dicom-web/", "Servers": {"p2pacs": [f"{root}/"]}}
            with orthanc(tmp_path / "orthanc", DicomWeb=web) as client:
                query = {"Uri": "/studies", "Arguments": {"StudyInstanceUID": uid}}
                path = "/dicom-web/servers/p2pacs"
                found = json.loads(client.request("POST", f"{path}/qido", _body(query)))
                assert len(found) == 1
                client.request("POST", f"{path}/retrieve", _body({"Resources": [{"Study": uid}]}))
                return {
                    EncodedInstance.from_part10(client.file(one)).data for one in client.instances()
                }

        with trio.fail_after(LIMIT):
            assert await trio.to_thread.run_sync(use) == {one.data for one in sent}


def _body(said: object) -> bytes:
    return json.dumps(said).encode()


async def test_of_a_revoked_member_no_names_are_told(tmp_path: Path) -> None:
    async with (
        served(tmp_path, []) as (world, peer, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        await eventually(lambda: peer.identity.broker in peer.host.mesh.links)
        world.revoke("a")
        await eventually(lambda: peer.host.mesh.refused.get(peer.identity.broker))
        for path in ("/studies", f"/studies/{world.broker.uid}"):
            answer = await http.get(root + path)
            assert (answer.status_code, answer.json()["error"]) == (403, "RevokedError")


# ---------------------------------------------------------------- WADO-RS


async def read(
    root: str, study: str, series: str | None = None, instance: str | None = None
) -> list[EncodedInstance]:
    """What our own client gets; nothing else."""
    found: list[EncodedInstance] = []
    async with DicomwebClient(root) as client, client.retrieve(study, series, instance) as coming:
        async for one in coming:
            assert isinstance(one, EncodedInstance)
            found.append(one)
    return found


async def test_instances_come_as_they_are_stored(tmp_path: Path) -> None:
    sent = instances(5)
    async with served(tmp_path, sent) as (world, peer, root):
        series = samples.dataset().SeriesInstanceUID
        assert by_uid(await read(root, world.broker.uid)) == by_uid(sent)
        assert by_uid(await read(root, world.broker.uid, series)) == by_uid(sent)
        one = sent[3].sop_instance_uid
        assert await read(root, world.broker.uid, series, one) == [sent[3]]
        # A study and a series, and the one instance, which is looked at for now: nobody waits until
        # the broker has compared the study with the PACS.
        assert {purpose for purpose, _ in world.broker.asked} == {"view"}
        await eventually(lambda: len(world.broker.audit) == 2)
        with trio.fail_after(LIMIT):  # the broker's answer is on its way
            while await peer.audit.waiting() != 1:
                await trio.sleep(0.01)
        for told in map(msgpack.unpackb, world.broker.audit):
            assert told["caller"] == "DICOMweb 127.0.0.1"
            assert told["purpose"] == "DICOMweb WADO-RS"
            assert (told["outcome"], told["sent"], told["total"]) == ("done", 5, 5)


@pytest.mark.parametrize("length", ["known", "unknown"])
async def test_large_ones_come_piece_by_piece(tmp_path: Path, length: str) -> None:
    sent = [samples.instance(1), volume(2), compressed(3)]
    async with (
        served(tmp_path, []) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        await world.broker.publish(sent, complete=length == "known")
        series = samples.dataset().SeriesInstanceUID
        for one in sent[1:]:
            path = f"/studies/{world.broker.uid}/series/{series}/instances/{one.sop_instance_uid}"
            accept = {"Accept": f"application/dicom; transfer-syntax={one.transfer_syntax_uid}"}
            answer = await http.get(root + path, headers=accept)
            assert EncodedInstance.from_part10(answer.content) == one
            assert int(answer.headers["content-length"]) == len(answer.content)
            assert await read(root, world.broker.uid, series, one.sop_instance_uid) == [one]
        if length == "known":
            assert by_uid(await read(root, world.broker.uid)) == by_uid(sent)


async def test_a_large_one_that_is_not_exact_does_not_look_whole(tmp_path: Path) -> None:
    sent = [volume(1)]
    async with (
        served(tmp_path, sent) as (world, peer, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        fetch = await peer.reads.open(world.broker.uid, Requester("me", "get"))
        with fetch.in_use(), trio.fail_after(LIMIT):
            await fetch.cursor().next()
        known = fetch.known[0]
        fetch.known[0] = evolve(known, entry=evolve(known.entry, sha256=bytes(32)))
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{root}/studies/{world.broker.uid}")


async def test_what_does_not_exist(tmp_path: Path) -> None:
    async with (
        served(tmp_path, instances(2)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        study = f"{root}/studies/{world.broker.uid}"
        series = f"{study}/series/{samples.dataset().SeriesInstanceUID}"
        for path in (
            f"{root}/studies/1.2.3.4", f"{study}/series/1.2.3", f"{series}/instances/1.2.3",
            f"{study}/series/1.2.3/metadata", f"{series}/instances/1.2.3/metadata",
        ):  # fmt: skip
            answer = await http.get(path)
            assert answer.status_code == 404, path
            assert answer.json()["message"]


async def test_the_client_says_what_it_accepts(tmp_path: Path) -> None:
    sent = instances(2)
    async with served(tmp_path, sent) as (world, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        study = f"{root}/studies/{world.broker.uid}"
        series = samples.dataset().SeriesInstanceUID
        one = f"{study}/series/{series}/instances/{sent[0].sop_instance_uid}"
        stored = sent[0].transfer_syntax_uid
        single = await http.get(one, headers={"Accept": "application/dicom"})
        assert single.headers["content-type"] == f"application/dicom; transfer-syntax={stored}"
        assert EncodedInstance.from_part10(single.content) == sent[0]
        assert int(single.headers["content-length"]) == len(single.content)
        for syntax in (stored, "*", '"*"'):
            accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
            answer = await http.get(study, headers={"Accept": accept})
            assert answer.status_code == 200
            assert answer.content.endswith(b"--\r\n")
        for accept in (
            'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50',
            "image/jpeg",
            "application/dicom",
        ):
            answer = await http.get(study, headers={"Accept": accept})
            assert answer.status_code == 406
            assert stored in answer.json()["message"]


async def test_a_version_that_the_client_has_is_not_sent_again(tmp_path: Path) -> None:
    async with (
        served(tmp_path, instances(2)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        study = f"{root}/studies/{world.broker.uid}"
        for path in (study, f"{study}/metadata"):
            await http.get(path)
            tag = (await http.get(path)).headers["etag"]
            again = await http.get(path, headers={"If-None-Match": f'"x", {tag}'})
            assert (again.status_code, again.content) == (304, b"")
            assert (await http.get(path, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_metadata_say_all_but_the_pixels(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path, sent) as (world, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        study = f"{root}/studies/{world.broker.uid}"
        answer = await http.get(f"{study}/metadata")
        assert answer.headers["content-type"] == "application/dicom+json"
        told = {value(one, "SOPInstanceUID"): one for one in answer.json()}
        assert len(told) == 3
        for one in sent:
            held = told[one.sop_instance_uid]
            series = value(held, "SeriesInstanceUID")
            of = f"{study}/series/{series}/instances/{one.sop_instance_uid}"
            assert held[tag("PixelData")] == {
                "vr": "OW",
                "BulkDataURI": f"{of}/bulkdata/7FE00010",
            }
            assert value(held, "Rows") == 64
            link = held[tag("PixelData")]["BulkDataURI"]
            pixels = await http.get(link, headers={"Accept": "application/octet-stream"})
            stored = pydicom.dcmread(io.BytesIO(one.part10())).PixelData
            assert pixels.content == stored
            (alone,) = (await http.get(f"{of}/metadata")).json()
            assert alone == held
        plain = await http.get(f"{study}/metadata", headers={"Accept": "application/json"})
        assert plain.headers["content-type"] == "application/json"


def _pixels_alone(reader: StudyReader) -> set[int]:
    """The chunks without anything of a header."""
    headers: set[int] = set()
    for instance in reader.index.instances.values():
        excerpts = Excerpts(reader, instance)
        headers |= excerpts.chunks(0, excerpts.header_bytes)
    finest = {
        number for one in reader.index.instances.values() for number in reader.levels(one)[-1][1]
    }
    return finest - headers


async def test_metadata_do_not_wait_for_the_pixels(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        await world.broker.publish(slices(3), withheld=_pixels_alone)
        peer = await world.add("a", gateway={"dicomweb": "127.0.0.1:0"})
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        root = f"http://{await nursery.start(peer.serve_dicomweb)}{ROOT}"
        async with httpx.AsyncClient(timeout=60) as http:
            answer = await http.get(f"{root}/studies/{world.broker.uid}/metadata")
            assert (answer.status_code, len(answer.json())) == (200, 3)
        assert world.broker.kept_back
        nursery.cancel_scope.cancel()


async def test_an_answer_that_lacks_something_does_not_look_whole(tmp_path: Path) -> None:
    sent = instances(4)

    def break_one(peer: Peer) -> None:
        whole = StudyFetch.read

        async def read_but_one(fetch: StudyFetch, known: Known) -> EncodedInstance:
            if known.number == 3:
                raise CodingError("it does not decode")
            return await whole(fetch, known)

        patch.setattr(StudyFetch, "read", read_but_one)

    with pytest.MonkeyPatch.context() as patch:
        async with (
            served(tmp_path, sent) as (world, peer, root),
            httpx.AsyncClient(timeout=LIMIT) as http,
        ):
            break_one(peer)
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get(f"{root}/studies/{world.broker.uid}")
            of = f"{root}/studies/{world.broker.uid}/series/{samples.dataset().SeriesInstanceUID}"
            answer = await http.get(f"{of}/instances/{sent[2].sop_instance_uid}")
            assert answer.status_code == CodingError.http_status


async def test_what_the_pacs_did_not_give_is_said(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        left_out = LeftOut(uids=("1.2.3.9",), why='1 file "lost"')
        await world.broker.publish(instances(2), left_out=left_out)
        answer = await http.get(f"{root}/studies/{world.broker.uid}/metadata")
        assert (answer.status_code, len(answer.json())) == (206, 2)
        assert "1 file ?lost?" in answer.headers["warning"]


async def test_who_may_not_read_is_told(tmp_path: Path) -> None:
    async with (
        served(tmp_path, instances(1)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        world.broker.forbidden = True
        assert (await http.get(f"{root}/studies/{world.broker.uid}")).status_code == 403


async def test_dicomweb_client_reads_it(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path, sent) as (world, _, root):
        world.broker.described = described(3)
        uid, series = world.broker.uid, str(samples.dataset().SeriesInstanceUID)

        def use() -> None:
            client = DICOMwebClient(root)
            (study,) = client.search_for_studies(
                fuzzymatching=False, limit=10, search_filters={"PatientID": "P1"}
            )
            assert value(study, "StudyInstanceUID") == uid
            assert len(client.search_for_series(uid)) == 1
            assert len(client.search_for_instances(uid, series)) == 3
            assert len(client.retrieve_study_metadata(uid)) == 3
            assert len(client.retrieve_series_metadata(uid, series)) == 3
            whole = client.retrieve_study(uid)
            assert {one.SOPInstanceUID for one in whole} == {one.sop_instance_uid for one in sent}
            one = client.retrieve_instance(uid, series, sent[1].sop_instance_uid)
            assert one.PixelData == pydicom.dcmread(io.BytesIO(sent[1].part10())).PixelData

        with trio.fail_after(LIMIT):
            await trio.to_thread.run_sync(use)


async def test_other_hosts_are_refused(tmp_path: Path) -> None:
    async with (
        served(tmp_path, [], dicomweb_names=["pacs.example"]) as (_, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        for host, status in {"evil.example": 421, "pacs.example": 200, "localhost:1": 200}.items():
            answer = await http.get(f"{root}/studies", headers={"Host": host})
            assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers


async def test_a_replica_serves_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        peer = await world.add("r", Role.REPLICA, gateway={"dicomweb": "127.0.0.1:0"})
        assert await nursery.start(peer.serve_dicomweb) is None


async def test_images_are_found_without_their_study_where_that_was_listed(tmp_path: Path) -> None:
    async with (
        served(tmp_path, instances(2)) as (world, peer, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        world.broker.described = described(2)
        peer.index.upsert(_study(number) for number in range(60))
        image = f"{root}/instances?SOPInstanceUID={samples.instance(2).sop_instance_uid}"
        assert (await http.get(image)).status_code == 503, "of too many studies"
        listed = (await http.get(f"{root}/studies/{world.broker.uid}/instances")).json()
        assert len(listed) == 2
        (found,) = (await http.get(image)).json()
        assert value(found, "InstanceNumber") == 2
        assert value(found, "StudyInstanceUID") == world.broker.uid
        assert (await http.get(f"{image}&PatientID=nobody")).json() == []
