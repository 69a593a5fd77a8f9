"""Orthanc stores at a hospital, and asks whether that is safe; and it is asked, as the PACS."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.commitment import Reference
from p2pacs.errors import PacsError
from p2pacs.ids import StudyId
from p2pacs.units import Endpoint
from peer.accounts.trail import note
from peer.commitment.commitments import Commitments, CommitmentTuning
from peer.commitment.copied_studies import CopiedStudies
from peer.db import connect
from peer.ingest.intake import take
from peer.spool.spool import Spool
from tests.components import HOST, Orthanc, free_port, orthanc
from tests.conformance.instances import make
from tests.p2pacs.dimse.backends import Scripted, serving

STUDY = "1.2.826.1"
OF = StudyId(bytes(range(StudyId.size)))
ONE, TWO = (make(STUDY, number=number) for number in (1, 2))
PATIENCE = 60.0

pytestmark = pytest.mark.orthanc


async def nobody(_study: StudyId, _version: int, _wanted: int) -> int:
    """Nobody else holds it."""
    await trio.lowlevel.checkpoint()
    return 0


@asynccontextmanager
async def hospital(folder: Path, scanner: Orthanc) -> AsyncIterator[Spool]:
    """What takes its requests."""
    (folder / "spool").mkdir(parents=True)
    remote = DimseRemote(scanner.aet, HOST, scanner.dicom_port)
    with (
        trio.fail_after(PATIENCE),
        closing(Spool(folder / "spool", reserve=0)) as spool,
        closing(connect(folder / "peer.db")) as database,
    ):
        commitments = Commitments(
            database,
            spool,
            CopiedStudies(nobody, 2),
            aet="GATEWAY",
            destinations={scanner.aet: remote},
            note=note,
            tuning=CommitmentTuning(first=0.6, look=0.6),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commitments.run)
            async with serving(Scripted(), commitment=commitments.service) as server:
                body = json.dumps({"AET": "GATEWAY", "Host": HOST, "Port": server.port}).encode()
                scanner.request("PUT", "/modalities/HOSPITAL", body)
                yield spool
            nursery.cancel_scope.cancel()


async def ask(scanner: Orthanc) -> dict[str, Any]:
    """Have it ask, and wait for the report that it gets."""
    instances = [[one.sop_class_uid, one.sop_instance_uid] for one in (ONE, TWO)]
    body = json.dumps({"DicomInstances": instances}).encode()
    path = "/modalities/HOSPITAL/storage-commitment"
    answer = await trio.to_thread.run_sync(scanner.request, "POST", path, body)
    transaction = json.loads(answer)["ID"]
    while True:
        found = await trio.to_thread.run_sync(scanner.get, f"/storage-commitment/{transaction}")
        if found["Status"] != "Pending":
            said: dict[str, Any] = found
            return said
        await trio.sleep(0.1)


async def test_orthanc_is_told_what_is_safe_and_what_is_not(tmp_path: Path) -> None:
    with orthanc(tmp_path / "scanner", aet="CT1") as scanner:
        async with hospital(tmp_path / "peer", scanner) as spool:
            take(spool, ONE, "CT1")
            spool.index.admitted(STUDY, OF)
            spool.index.version_out(STUDY, 1)
            spool.index.all_out(STUDY, 1)
            spool.safe(STUDY, 1)
            told = await ask(scanner)
            assert told["Status"] == "Failure"
            assert [one["SOPInstanceUID"] for one in told["Success"]] == [ONE.sop_instance_uid]
            (failed,) = told["Failures"]
            assert failed["SOPInstanceUID"] == TWO.sop_instance_uid
            assert "not available" in failed["Description"]  # its words for 0x0112
            take(spool, TWO, "CT1")
            spool.index.all_out(STUDY, 2)
            spool.safe(STUDY, 2)
            told = await ask(scanner)
            assert told["Status"] == "Success"
            assert len(told["Success"]) == 2


@pytest.mark.parametrize("wish", ["", "?commitment=yes", "?retrieve=get&commitment=yes"])
async def test_orthanc_as_the_pacs_commits_to_what_it_has(tmp_path: Path, wish: str) -> None:
    where = Endpoint(HOST, free_port())
    with orthanc(tmp_path / "pacs", aet="PACS", modalities={"P2PACS": where.port}) as server:
        address = parse_pacs(f"{server.dimse}{wish}")
        with trio.fail_after(PATIENCE):
            async with open_pacs(address, aet="P2PACS", dicom=where) as pacs:
                await pacs.store([ONE])
                one, two = (Reference(i.sop_class_uid, i.sop_instance_uid) for i in (ONE, TWO))
                assert await pacs.commit([one]) == {}
                assert await pacs.commit([one, two]) == {two.uid: 0x0112}
                await pacs.store([TWO])
                assert await pacs.commit([one, two]) == {}


async def test_orthanc_that_does_not_know_where_to_report_is_not_waited_for(tmp_path: Path) -> None:
    where = Endpoint(HOST, free_port())
    with orthanc(tmp_path / "pacs", aet="PACS") as server, trio.fail_after(PATIENCE):
        one = Reference(ONE.sop_class_uid, ONE.sop_instance_uid)
        async with open_pacs(parse_pacs(server.dimse), aet="P2PACS", dicom=where) as pacs:
            await pacs.store([ONE])
            assert await pacs.commit([one]) is None
            assert await pacs.commit([one]) is None
        must = parse_pacs(f"{server.dimse}?commitment=yes")
        async with open_pacs(must, aet="P2PACS", dicom=where) as pacs:
            with pytest.raises(PacsError):
                await pacs.commit([one])
