"""The gateway as workstations see it: DCMTK, Orthanc, and our own SCU for what they cannot do."""

import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import msgpack
import pytest
import trio
from attrs import evolve
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import QueryRoot, tag
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.errors import (
    CodingError,
    ForbiddenError,
    P2PacsError,
    PacsError,
    PacsRefusedError,
    PacsUnreachableError,
    StudyNotFoundError,
)
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.study.study_index import LeftOut
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.transcode.transcoding import transcode
from p2pacs.units import Endpoint
from p2pacs.wire.messages.messages import CatalogueNews
from peer.app import Peer
from peer.retrieval.instances.live_index import Known
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.components import dcmtk, free_port, orthanc, storescp
from tests.odd import ODD_VALUES
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid, read_all
from tests.peer.world import World, described, instances, open_world
from tests.waiting import eventually

AET = "P2PACS"


@asynccontextmanager
async def served(
    folder: Path, sent: list[EncodedInstance], **gateway: object
) -> AsyncIterator[tuple[World, Peer, Endpoint]]:
    """A world with a study, and a peer with its gateway open."""
    async with open_world(folder) as world:
        if sent:
            await world.broker.publish(sent)
        else:
            world.broker.catalogue.upsert([world.broker.record()])
        peer = await world.add("a", dicom="127.0.0.1:0", gateway=gateway)
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        async with peer.gateway() as listens:
            assert listens.plain is not None
            yield world, peer, listens.plain


def client(where: Endpoint, aet: str = "VIEWER") -> DimseClient:
    return DimseClient(DimseRemote(AET, where.host, where.port), aet)


def query(level: str, **keys: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


async def tool(name: str, where: Endpoint, *arguments: str, fails: bool = False) -> str:
    """Run a tool of DCMTK against the gateway; what it says."""
    run = partial(dcmtk, name, "-aec", AET, *arguments, where.host, str(where.port))
    with trio.fail_after(LIMIT):
        done = await trio.to_thread.run_sync(run)
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


@pytest.mark.dcmtk
async def test_names_that_sound_alike_are_found_where_the_settings_say_so(tmp_path: Path) -> None:
    for fuzzy in (False, True):
        folder = tmp_path / str(fuzzy)
        folder.mkdir()
        async with served(folder, [], fuzzy_names=fuzzy) as (world, _, where):
            keys = (
                "-S",
                "-k",
                "QueryRetrieveLevel=STUDY",
                "-k",
                "PatientName=GRUEN",
                "-k",
                "StudyInstanceUID",
            )
            assert (world.broker.uid in await tool("findscu", where, *keys)) is fuzzy


def received(folder: Path) -> dict[str, EncodedInstance]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return by_uid([EncodedInstance.from_part10(path.read_bytes()) for path in files])


async def test_workstations_of_a_revoked_member_are_told_no_names(tmp_path: Path) -> None:
    async with served(tmp_path, instances(1)) as (world, peer, where):
        await eventually(lambda: peer.identity.broker in peer.host.mesh.links)
        world.revoke("a")
        await eventually(lambda: peer.host.mesh.refused.get(peer.identity.broker))
        uid = world.broker.uid
        for asked in (query("STUDY"), query("SERIES", StudyInstanceUID=uid)):
            with pytest.raises(PacsRefusedError, match="0124"):
                await client(where).find(asked)
        wanted = query("STUDY", StudyInstanceUID="1.2.3")
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            with pytest.raises(PacsRefusedError, match="0124"):
                _ = [one async for one in inbox]


# ---------------------------------------------------------------- DCMTK and Orthanc


@pytest.mark.dcmtk
async def test_dcmtk_finds(tmp_path: Path) -> None:
    async with served(tmp_path, instances(3)) as (world, _, where):
        assert "Success" in await tool("echoscu", where, "-v")
        found = await tool(
            "findscu", where, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=gr*",
            "-k", "StudyInstanceUID", "-k", "StudyDate=20230101-20241231",
        )  # fmt: skip
        assert world.broker.uid in found
        nothing = await tool(
            "findscu", where, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyDate=19990101",
        )  # fmt: skip
        assert world.broker.uid not in nothing


@pytest.mark.dcmtk
async def test_dcmtk_moves_a_study_that_is_not_here_yet(tmp_path: Path) -> None:
    sent = instances(5)
    with storescp(tmp_path / "viewer", aet="VIEWER") as viewer:
        destinations = {"VIEWER": f"127.0.0.1:{viewer.port}"}
        async with served(tmp_path, sent, destinations=destinations) as (world, peer, where):
            said = await tool(
                "movescu", where, "-v", "-S", "-aem", "VIEWER", "-k", "QueryRetrieveLevel=STUDY",
                "-k", f"StudyInstanceUID={world.broker.uid}",
            )  # fmt: skip
            assert "Received Final Move Response (Success)" in said
            assert received(tmp_path / "viewer") == by_uid(sent)
            assert world.broker.asked == [("move", peer.identity.address)]
            await eventually(lambda: world.broker.audit)
            record = msgpack.unpackb(world.broker.audit[0])
            assert record["caller"] == "MOVESCU"
            assert record["purpose"] == "C-MOVE to VIEWER"
            assert (record["outcome"], record["sent"], record["total"]) == ("done", 5, 5)


def jpeg_lossless(folder: Path, sent: list[EncodedInstance]) -> list[EncodedInstance]:
    """These instances as DCMTK codes them."""
    coded = []
    for one in sent:
        plain, made = folder / "plain.dcm", folder / "coded.dcm"
        plain.write_bytes(one.part10())
        assert dcmtk("dcmcjpeg", "+e1", str(plain), str(made)).returncode == 0
        coded.append(EncodedInstance.from_part10(made.read_bytes()))
    return coded


@pytest.mark.dcmtk
async def test_dcmtk_that_takes_implicit_vr_alone_gets_a_compressed_study(tmp_path: Path) -> None:
    plain = instances(3)
    sent = jpeg_lossless(tmp_path, plain)
    with storescp(tmp_path / "old", "+xi", aet="OLD") as old:
        address = f"127.0.0.1:{old.port}"
        destinations = {"OLD": address, "SAME": {"address": address, "transcode": "never"}}
        async with served(tmp_path, sent, destinations=destinations) as (world, _, where):
            order = (
                "-v", "-d", "-S", "-k", "QueryRetrieveLevel=STUDY",
                "-k", f"StudyInstanceUID={world.broker.uid}",
            )  # fmt: skip
            refused = await tool("movescu", where, *order, "-aem", "SAME", fails=True)
            assert "JPEGLosslessSV1 not accepted" in refused
            assert not received(tmp_path / "old")
            said = await tool("movescu", where, *order, "-aem", "OLD")
    assert "0x0000: Success" in said
    assert "converted: JPEGLosslessSV1 to ImplicitVRLittleEndian" in said
    got = received(tmp_path / "old")
    assert got == by_uid([transcode(one, "1.2.840.10008.1.2") for one in sent])
    for one in plain:
        assert got[one.sop_instance_uid].data.endswith(one.data[-64 * 64 * 2 :])


@pytest.mark.dcmtk
async def test_dcmtk_gets_a_series(tmp_path: Path) -> None:
    sent = instances(3)
    out = tmp_path / "out"
    out.mkdir()
    async with served(tmp_path, sent) as (world, _, where):
        await tool(
            "getscu", where, "-S", "+B", "-od", str(out), "-k", "QueryRetrieveLevel=SERIES",
            "-k", f"StudyInstanceUID={world.broker.uid}",
            "-k", f"SeriesInstanceUID={world.broker.uid}.1",
        )  # fmt: skip
    assert received(out) == by_uid(sent)


def _as_workstation(folder: Path, gateway_port: int, ready: Callable[[int], None]) -> set[str]:
    """Orthanc finds and retrieves all studies of the gateway; the SOP Instance UIDs it got."""
    with orthanc(folder, aet="VIEWER", modalities={AET: gateway_port}) as viewer:
        ready(viewer.dicom_port)
        question = json.dumps({"Level": "Study", "Query": {"PatientName": "GR*"}}).encode()
        answer = json.loads(viewer.request("POST", f"/modalities/{AET}/query", question))
        order = json.dumps({"TargetAet": "VIEWER", "Synchronous": True}).encode()
        viewer.request("POST", f"/queries/{answer['ID']}/retrieve", order)
        files = [EncodedInstance.from_part10(viewer.file(one)) for one in viewer.instances()]
        return {one.sop_instance_uid for one in files}


@pytest.mark.orthanc
async def test_orthanc_is_a_workstation(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path, sent) as (_, peer, where):

        def ready(port: int) -> None:
            peer.gateway_parts.destinations["VIEWER"] = DimseRemote("VIEWER", "127.0.0.1", port)

        got = await trio.to_thread.run_sync(
            _as_workstation, tmp_path / "orthanc", where.port, ready
        )
    assert got == set(by_uid(sent))


# ---------------------------------------------------------------- what they cannot do


async def test_levels_and_counts(tmp_path: Path) -> None:
    async with served(tmp_path, instances(3)) as (world, _, where):
        uid = world.broker.uid
        viewer = client(where)
        (patient,) = await viewer.find(query("PATIENT", PatientName="GRÜN*"), "PATIENT")
        assert patient.PatientName == "Grün^Zoë"
        (study,) = await viewer.find(query("STUDY", StudyInstanceUID=f"{uid}\\1.2.3"))
        assert study.StudyInstanceUID == uid
        (series,) = await viewer.find(query("SERIES", StudyInstanceUID=uid, Modality=""))
        assert series.Modality == "CT"


async def test_images_are_listed_out_of_the_index_of_a_study_that_is_here(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path, sent) as (world, peer, where):
        uid = world.broker.uid
        await read_all(await peer.reads.open(uid, Requester("TEST", "get")))
        await world.stop("broker")
        question = query(
            "IMAGE", StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", InstanceNumber="2"
        )
        question.Rows = None
        (image,) = await client(where).find(question)
        assert image.SOPInstanceUID == sent[1].sop_instance_uid
        assert image.Rows == 64


async def test_images_are_listed_by_the_broker_otherwise(tmp_path: Path) -> None:
    async with served(tmp_path, instances(3)) as (world, _, where):
        uid = world.broker.uid
        world.broker.described = described(3)
        question = query(
            "IMAGE", StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", InstanceNumber=""
        )
        assert len(await client(where).find(question)) == 3
        await world.stop("broker")
        with pytest.raises(PacsError):
            await client(where).find(question)


async def test_one_image_can_be_got(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path, sent) as (world, _, where):
        uid = world.broker.uid
        wanted = query(
            "IMAGE",
            StudyInstanceUID=uid,
            SeriesInstanceUID=f"{uid}.1",
            SOPInstanceUID=sent[1].sop_instance_uid,
        )
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            assert [one async for one in inbox] == [sent[1]]


@pytest.mark.parametrize(
    ("urgency", "priority"),
    [(0, Priority.INTERACTIVE), (1, Priority.STAT), (2, Priority.PREFETCH)],
)
async def test_the_priority_of_a_request_counts(
    tmp_path: Path, urgency: int, priority: Priority
) -> None:
    async with served(tmp_path, instances(2)) as (world, peer, where):
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)

        def get() -> int:
            entity = AE("VIEWER")
            entity.add_requested_context(contexts.GET["STUDY"])
            entity.add_requested_context(samples.CT, samples.EXPLICIT)
            assoc = entity.associate(
                where.host,
                where.port,
                ae_title=AET,
                ext_neg=[build_role(samples.CT, scp_role=True)],
                evt_handlers=[(evt.EVT_C_STORE, lambda _event: 0)],
            )
            answers = assoc.send_c_get(wanted, UID(contexts.GET["STUDY"]), priority=urgency)
            status = [status for status, _ in answers][-1].Status
            assoc.release()
            return int(status)

        assert await trio.to_thread.run_sync(get) == 0
        assert peer.host.engine.downloads.transfers[world.broker.study].priority is priority
        await eventually(lambda: world.broker.audit)
        (said,) = [msgpack.unpackb(raw)["purpose"] for raw in world.broker.audit]
        ordinary = priority is Priority.INTERACTIVE
        assert said == ("C-GET" if ordinary else f"C-GET, {priority.name.lower()}")


async def test_callers_can_be_restricted(tmp_path: Path) -> None:
    async with served(tmp_path, instances(1), allowed_callers=["VIEWER"]) as (_, _, where):
        await client(where, "VIEWER").echo()
        with pytest.raises(PacsUnreachableError, match="does not know our AE title"):
            await client(where, "STRANGER").echo()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ForbiddenError("the access rule does not allow this study"), 0x0124),
        (StudyNotFoundError("the PACS has it no more"), 0xA900),
    ],
)
async def test_errors_have_their_status(tmp_path: Path, error: P2PacsError, status: int) -> None:
    async with served(tmp_path, instances(1)) as (world, _, where):
        world.broker.staged = error
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            with pytest.raises(PacsRefusedError, match=f"{status:04X}"):
                _ = [one async for one in inbox]


async def test_a_study_that_is_not_in_the_catalogue(tmp_path: Path) -> None:
    async with served(tmp_path, instances(1)) as (_, _, where):
        wanted = query("STUDY", StudyInstanceUID="1.2.3")
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            with pytest.raises(PacsRefusedError):
                _ = [one async for one in inbox]


async def test_images_go_out_while_the_study_still_grows(tmp_path: Path) -> None:
    sent = instances(4)
    async with served(tmp_path, []) as (world, _, where):
        await world.broker.publish(sent[:2], complete=False)
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            got: list[EncodedInstance] = []
            with trio.fail_after(LIMIT):
                async for one in inbox:
                    got.append(one)
                    if len(got) == 2:
                        await world.broker.publish(sent[2:])
    assert by_uid(got) == by_uid(sent)


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
async def test_what_the_pacs_did_not_give_is_told_at_once(tmp_path: Path, level: str) -> None:
    """The rest comes; what is missing is a failed sub-operation with its reason."""
    sent = instances(2)
    missing = LeftOut(("1.2.3.4", "1.2.3.5"), 1, "3 instances: the PACS does not send them")
    async with served(tmp_path, []) as (world, _, where):
        await world.broker.publish(sent, left_out=missing)
        uid = world.broker.uid
        wanted = query(level, StudyInstanceUID=uid)
        if level != "STUDY":
            wanted.SeriesInstanceUID = f"{uid}.1"
        if level == "IMAGE":
            wanted.SOPInstanceUID = [sent[0].sop_instance_uid, "1.2.3.5"]
        with trio.fail_after(LIMIT):
            got, status, failed = await trio.to_thread.run_sync(_get, where, wanted)
    uids = ["1.2.3.5"] if level == "IMAGE" else ["1.2.3.4", "1.2.3.5"]
    assert len(got) == (1 if level == "IMAGE" else 2)
    assert status.Status == 0xB000
    assert status.NumberOfFailedSuboperations == (1 if level == "IMAGE" else 3)
    assert status.NumberOfCompletedSuboperations == len(got)
    assert status.ErrorComment == "3 instances: the PACS does not send them"
    assert failed is not None
    assert DataElement(0x00080058, "UI", uids).value == failed.FailedSOPInstanceUIDList


@pytest.mark.parametrize(
    ("level", "asked", "status", "reason"),
    [
        ("SERIES", ["1.2.3"], 0xA900, "a series that is asked for is not in the study"),
        ("SERIES", ["", "1.2.3"], 0xB000, "a series that is asked for is not in the study"),
        ("IMAGE", ["1.2.3"], 0xA900, "an instance that is asked for is not in the study"),
        ("IMAGE", ["", "1.2.3"], 0xB000, "an instance that is asked for is not in the study"),
        ("STUDY", ["", "1.2.3"], 0xB000, "a study that is asked for is not in the catalogue"),
    ],
)
async def test_what_nobody_knows_is_no_success(
    tmp_path: Path, level: str, asked: list[str], status: int, reason: str
) -> None:
    """An empty UID stands for one that there is."""
    sent = instances(2)
    async with served(tmp_path, sent) as (world, _, where):
        uid = world.broker.uid
        known = {"STUDY": uid, "SERIES": f"{uid}.1", "IMAGE": sent[0].sop_instance_uid}
        wanted = query(level, StudyInstanceUID=uid)
        if level == "IMAGE":
            wanted.SeriesInstanceUID = known["SERIES"]
        keyword = {"IMAGE": "SOPInstanceUID"}.get(level, f"{level.capitalize()}InstanceUID")
        setattr(wanted, keyword, [one or known[level] for one in asked])
        with trio.fail_after(LIMIT):
            got, said, _ = await trio.to_thread.run_sync(_get, where, wanted)
    assert len(got) == (0 if "" not in asked else 1 if level == "IMAGE" else 2)
    assert (said.Status, said.NumberOfFailedSuboperations) == (status, status == 0xB000)
    assert said.ErrorComment.startswith(reason)


@pytest.mark.parametrize("corrected", [False, True])
async def test_fewer_than_the_catalogue_tells_of_is_no_success(
    tmp_path: Path, corrected: bool
) -> None:
    """Unless it tells of as few a moment later."""
    async with served(tmp_path, instances(2)) as (world, peer, where):
        catalogue, now = world.broker.catalogue, peer.index.by_uid(world.broker.uid)
        assert now is not None
        count = {tag("NumberOfStudyRelatedInstances"): entry("IS", "5")}
        catalogue.upsert([evolve(now, attributes=now.attributes | count)])
        peer.index.upsert([evolve(now, attributes=now.attributes | count)])
        if corrected:
            catalogue.upsert([now])
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def correct() -> None:
                await trio.sleep(0.3)
                if corrected:
                    peer.catalogue.wake()

            with trio.fail_after(LIMIT):
                got, said, _ = await trio.to_thread.run_sync(_get, where, wanted)
    assert len(got) == 2
    assert (said.Status, said.NumberOfFailedSuboperations) == ((0, 0) if corrected else (0xB000, 3))


async def test_fewer_of_a_series_than_the_catalogue_tells_of_is_no_success(tmp_path: Path) -> None:
    async with served(tmp_path, instances(2)) as (world, peer, where):
        now = peer.index.by_uid(world.broker.uid)
        assert now is not None
        (series,) = now.series
        count = {tag("NumberOfSeriesRelatedInstances"): entry("IS", "5")}
        more = evolve(now, series=(evolve(series, attributes=series.attributes | count),))
        world.broker.catalogue.upsert([more])
        peer.index.upsert([more])
        wanted = query("SERIES", StudyInstanceUID=now.uid, SeriesInstanceUID=series.uid)
        with trio.fail_after(LIMIT):
            got, said, _ = await trio.to_thread.run_sync(_get, where, wanted)
    assert len(got) == 2
    assert (said.Status, said.NumberOfFailedSuboperations) == (0xB000, 3)


async def test_what_is_replaced_after_it_was_sent_is_no_success(tmp_path: Path) -> None:
    """A correction in the middle: the workstation must not take both together for the study."""
    sent = instances(4)
    corrected = [samples.instance(n, rows=64, columns=64, PatientID="NEW") for n in range(1, 5)]
    async with served(tmp_path, []) as (world, _, where):
        await world.broker.publish(sent[:2], complete=False)
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        here = trio.Event()

        async def correct() -> None:
            await here.wait()
            withdrawn = [one.sop_instance_uid for one in sent[:2]]
            await world.broker.publish([], complete=False, withdrawn=withdrawn)
            await world.broker.publish(corrected)

        def second() -> None:
            trio.from_thread.run_sync(here.set, trio_token=token)

        token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(correct)
            with trio.fail_after(LIMIT):
                got, said, failed = await trio.to_thread.run_sync(
                    partial(_get, where, wanted, second, after=2)
                )
    assert got == [one.sop_instance_uid for one in sent]
    assert (said.Status, said.NumberOfFailedSuboperations) == (0xB000, 2)
    assert said.ErrorComment.startswith("changed in the PACS while it was sent")
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == got[:2]


async def test_workers_that_are_killed_cost_no_image(tmp_path: Path) -> None:
    sent = instances(40)
    async with served(tmp_path, sent) as (world, _, where):
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        got, status, _ = await trio.to_thread.run_sync(_get, where, wanted, _kill_workers)
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 40)
    assert set(got) == set(by_uid(sent))


def _kill_workers() -> None:
    """As the system does for want of memory."""
    pid = os.getpid()
    children = Path(f"/proc/{pid}/task").glob("*/children")
    for child in {child for file in children for child in file.read_text().split()}:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if b"p2pacs.workers.child" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)


def _get(
    where: Endpoint,
    wanted: Dataset,
    then: Callable[[], None] = lambda: None,
    *,
    after: int = 5,
) -> tuple[list[str], Dataset, Dataset | None]:
    """C-GET: UIDs that came, last status, its identifier."""
    got: list[str] = []
    entity = AE("VIEWER")
    entity.add_requested_context(contexts.GET["STUDY"])
    entity.add_requested_context(samples.CT, samples.EXPLICIT)

    def take(event: evt.Event) -> int:
        got.append(str(event.request.AffectedSOPInstanceUID))  # type: ignore[union-attr]
        if len(got) == after:
            then()
        return 0

    assoc = entity.associate(
        where.host,
        where.port,
        ae_title=AET,
        ext_neg=[build_role(samples.CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, take)],
    )
    *_, (status, failed) = assoc.send_c_get(wanted, UID(contexts.GET["STUDY"]))
    assoc.release()
    return got, status, failed


async def test_an_instance_that_cannot_be_read_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = instances(3)
    read = StudyFetch.read

    async def broken(self: StudyFetch, known: Known) -> EncodedInstance:
        if known.number == 2:
            raise CodingError("an instance does not decode: a worker process ended (SIGSEGV)")
        return await read(self, known)

    monkeypatch.setattr(StudyFetch, "read", broken)
    async with served(tmp_path, sent) as (world, _, where):
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        got, status, failed = await trio.to_thread.run_sync(_get, where, wanted)
        assert await _audited(world) == ("failed", 2, 3)
    assert got == [sent[0].sop_instance_uid, sent[2].sop_instance_uid]
    assert (status.Status, status.NumberOfFailedSuboperations) == (0xB000, 1)
    assert status.ErrorComment.startswith("an instance does not decode: a worker process ended")
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == sent[1].sop_instance_uid


async def _audited(world: World) -> tuple[str, int, int]:
    """How the one read that the audit has ended: outcome, and instances sent of how many."""
    await eventually(lambda: world.broker.audit)
    (raw,) = world.broker.audit
    record = msgpack.unpackb(raw)
    return record["outcome"], record["sent"], record["total"]


async def _move(
    where: Endpoint, wanted: Dataset, to: str, *, cancelled_at: int | None = None
) -> tuple[Dataset, Dataset | None]:
    """C-MOVE, cancelled when so many instances are sent; the last status and identifier."""

    def work() -> tuple[Dataset, Dataset | None]:
        model = UID(contexts.MOVE["STUDY"])
        entity = AE("VIEWER")
        entity.add_requested_context(model)
        assoc = entity.associate(where.host, where.port, ae_title=AET)
        last: tuple[Dataset, Dataset | None] = Dataset(), None
        for last in assoc.send_c_move(wanted, to, model, msg_id=7):
            status = last[0]
            if cancelled_at is not None and status.NumberOfCompletedSuboperations >= cancelled_at:
                assoc.send_c_cancel(7, query_model=model)
        assoc.release()
        return last

    return await trio.to_thread.run_sync(work)


async def test_what_did_not_arrive_was_not_read(tmp_path: Path) -> None:
    destinations = {"DEAD": f"127.0.0.1:{free_port()}"}
    async with served(tmp_path, instances(4), destinations=destinations) as (world, _, where):
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        status, failed = await _move(where, wanted, "DEAD")
        assert (status.Status, status.NumberOfFailedSuboperations) == (0xA702, 4)
        assert failed is not None
        assert set(failed.FailedSOPInstanceUIDList) == {
            one.sop_instance_uid for one in instances(4)
        }
        assert await _audited(world) == ("failed", 0, 4)


@pytest.mark.dcmtk
async def test_what_a_destination_does_not_accept_was_not_read(tmp_path: Path) -> None:
    with storescp(tmp_path / "viewer", "+xi", aet="VIEWER") as viewer:
        there = {"address": f"127.0.0.1:{viewer.port}", "transcode": "never"}
        gateway = {"destinations": {"VIEWER": there}}
        async with served(tmp_path, instances(4), **gateway) as (world, _, where):
            wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
            status, _ = await _move(where, wanted, "VIEWER")
            assert (status.Status, status.NumberOfFailedSuboperations) == (0xA702, 4)
            assert await _audited(world) == ("failed", 0, 4)


async def test_a_read_of_part_of_a_study_is_done_when_that_came(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path, sent) as (world, _, where):
        wanted = query(
            "IMAGE",
            StudyInstanceUID=world.broker.uid,
            SeriesInstanceUID=f"{world.broker.uid}.1",
            SOPInstanceUID=sent[1].sop_instance_uid,
        )
        got, _, _ = await trio.to_thread.run_sync(_get, where, wanted)
        assert got == [sent[1].sop_instance_uid]
        assert await _audited(world) == ("done", 1, 1)


@pytest.mark.dcmtk
async def test_a_cancelled_read_was_interrupted(tmp_path: Path) -> None:
    with storescp(tmp_path / "viewer", aet="VIEWER") as viewer:
        destinations = {"VIEWER": f"127.0.0.1:{viewer.port}"}
        async with served(tmp_path, [], destinations=destinations) as (world, _, where):
            await world.broker.publish(instances(1), complete=False)
            wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
            status, _ = await _move(where, wanted, "VIEWER", cancelled_at=1)
            assert status.Status == 0xFE00
            assert (await _audited(world))[:2] == ("interrupted", 1)


async def test_a_workstation_that_goes_away_stops_the_transfer(tmp_path: Path) -> None:
    async with served(tmp_path, []) as (world, peer, where):
        await world.broker.publish(instances(1), complete=False)
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            with trio.fail_after(LIMIT):
                await anext(aiter(inbox))
            (transfer,) = peer.host.engine.downloads.transfers.values()
            assert transfer.state is TransferState.FETCHING
        await eventually(lambda: transfer.ended is not None)
        await eventually(lambda: not peer.reads.in_use(world.broker.study))
        assert (await _audited(world))[0] == "interrupted"


async def test_the_peer_stops_while_a_workstation_waits(tmp_path: Path) -> None:
    got: list[EncodedInstance] = []
    ended: list[PacsError] = []

    async def read(where: Endpoint, uid: str) -> None:
        wanted = query("STUDY", StudyInstanceUID=uid)
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            try:
                async for one in inbox:
                    got.append(one)  # noqa: PERF401 - it raises after some
            except PacsError as error:
                ended.append(error)

    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery, served(tmp_path, []) as (world, _, where):
            await world.broker.publish(instances(1), complete=False)
            nursery.start_soon(read, where, world.broker.uid)
            await eventually(lambda: got)
    assert (len(got), len(ended)) == (1, 1)


async def test_a_replica_has_no_gateway(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        replica = await world.add("r", Role.REPLICA, dicom="127.0.0.1:0")
        async with replica.gateway() as listens:
            assert listens.plain is None


# ---------------------------------------------------------------- odd studies and odd keys


async def test_of_a_study_of_two_patients_each_gets_his_own(tmp_path: Path) -> None:
    """Privacy: an entity is sent if it matches all unique keys (PS3.4 C.4.2.2.1)."""
    other = "1.2.99"
    sent = [
        samples.instance(1),
        samples.instance(2),
        samples.instance(3, SeriesInstanceUID=other, PatientID="PB"),
    ]
    of_one, of_other = by_uid(sent[:2]), by_uid(sent[2:])
    async with served(tmp_path, sent) as (world, peer, where):
        record = world.broker.record()
        bea = {
            tag("PatientID"): entry("LO", "PB"),
            tag("PatientName"): entry("PN", {"Alphabetic": "Roe^Bea"}),
        }
        first = SeriesRecord(samples.dataset(1).SeriesInstanceUID, {})
        mixed = evolve(
            record,
            attributes=record.attributes | {tag("PatientID"): entry("LO", "PA")},
            series=(first, SeriesRecord(other, bea)),
        )
        world.broker.catalogue.upsert([mixed])
        world.broker.host.tell_linked(CatalogueNews(world.broker.catalogue.seq), [Role.HOSPITAL])
        await eventually(lambda: len((peer.index.get(record.study) or record).patients) == 2)

        async def got(root: QueryRoot, level: str, **keys: str) -> dict[str, EncodedInstance]:
            classes = {samples.CT: [samples.EXPLICIT]}
            async with client(where).get(query(level, **keys), root, classes=classes) as inbox:
                return by_uid([one async for one in inbox])

        uid = record.uid
        for patient, theirs in (("PA", of_one), ("PB", of_other)):
            (found,) = await client(where).find(query("STUDY", PatientID=patient, PatientName=""))
            assert (found.StudyInstanceUID, found.PatientID) == (uid, patient)
            assert await got("PATIENT", "PATIENT", PatientID=patient) == theirs
            keys = {"PatientID": patient, "StudyInstanceUID": uid}
            assert await got("PATIENT", "STUDY", **keys) == theirs
        with pytest.raises(PacsRefusedError):  # as if there were no such series
            await got("PATIENT", "SERIES", **keys, SeriesInstanceUID=first.uid)
        assert await got("PATIENT", "SERIES", **keys, SeriesInstanceUID=other) == of_other
        assert await got("STUDY", "STUDY", StudyInstanceUID=uid) == of_one | of_other


@ODD_VALUES
async def test_keys_that_cannot_be_matched_and_values_that_cannot_be(tmp_path: Path) -> None:
    async with served(tmp_path, instances(1)) as (world, _, where):
        for keys, statuses in (
            ({"Modality": "CT"}, [0xFF00, 0x0000]),
            ({"Modality": "MR"}, [0x0000]),
            ({"KVP": "120"}, [0xFF01, 0x0000]),
            ({"PatientWeight": "70"}, [0xFF01, 0x0000]),
            ({"StudyTime": "noon"}, [0xA900]),
            ({"StudyTime": "99"}, [0xA900]),
            ({"StudyInstanceUID": "*"}, [0xFF00, 0x0000]),
        ):
            assert await _statuses(where, query("STUDY", **keys)) == statuses, keys
        assert world.broker.uid


async def _statuses(where: Endpoint, identifier: Dataset) -> list[int]:
    def work() -> list[int]:
        entity = AE("VIEWER")
        entity.add_requested_context(contexts.FIND["STUDY"])
        assoc = entity.associate(where.host, where.port, ae_title=AET)
        answers = assoc.send_c_find(identifier, UID(contexts.FIND["STUDY"]))
        found = [int(status.Status) for status, _ in answers]
        assoc.release()
        return found

    return await trio.to_thread.run_sync(work)


@ODD_VALUES
async def test_uids_as_they_are_are_found_and_sent(tmp_path: Path) -> None:
    odd = "1.2.ABC_" + "7" * 20
    sent = [samples.instance(1, SOPInstanceUID=odd), *instances(1, first=2)]
    async with served(tmp_path, sent) as (world, peer, where):
        study, series = "1.2.STUDY-" + "8" * 60, "1.2.SERIES-" + "9" * 60
        strange = evolve(
            world.broker.record(),
            study=StudyId(bytes(16)),
            uid=study,
            version=0,
            series=(SeriesRecord(series, {tag("Modality"): entry("CS", "CT")}),),
        )
        world.broker.catalogue.upsert([strange])
        world.broker.host.tell_linked(CatalogueNews(world.broker.catalogue.seq), [Role.HOSPITAL])
        await eventually(lambda: peer.index.by_uid(study) is not None)
        (found,) = await client(where).find(query("SERIES", StudyInstanceUID=study))
        assert (found.StudyInstanceUID, found.SeriesInstanceUID) == (study, series)
        wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
        async with client(where).get(wanted, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            assert by_uid([one async for one in inbox]) == by_uid(sent)
        one = query(
            "IMAGE",
            StudyInstanceUID=world.broker.uid,
            SeriesInstanceUID=f"{world.broker.uid}.1",
            SOPInstanceUID=odd,
        )
        async with client(where).get(one, classes={samples.CT: [samples.EXPLICIT]}) as inbox:
            assert [got async for got in inbox] == sent[:1]
