"""Orthanc stores at a hospital, and asks whether that is safe."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.ids import StudyId
from peer.commitment.commitments import Commitments, CommitmentTuning
from peer.commitment.copied_studies import CopiedStudies
from peer.db import connect
from peer.ingest.intake import take
from peer.ingest.spool import Spool
from tests.components import HOST, Orthanc, orthanc
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
