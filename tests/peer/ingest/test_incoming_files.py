"""Files that come over HTTP: STOW-RS as a hospital serves it, into its spool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from attrs import evolve

from p2pacs.dataset.dicomdir import write_dicomdir
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.store_backend import KeptInstance
from p2pacs.errors import (
    BrokenInstanceError,
    DiskFullError,
    NotAcceptableError,
    RevokedError,
    WrongStudyError,
)
from peer.ingest.incoming_files import IncomingFiles
from peer.spool.spool import Spool
from tests.conformance.instances import make
from tests.p2pacs.dicomweb.server.catalogue import OneStudy

UID = "1.2.1"


def member() -> None:
    """It is one."""


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = Spool(tmp_path, reserve=0)
    yield opened
    opened.close()


@pytest.fixture
def uploads(spool: Spool) -> IncomingFiles:
    return IncomingFiles(spool, "HOSPITAL", member)


async def send(uploads: IncomingFiles, file: bytes, study: str | None = None) -> KeptInstance:
    async with uploads.receive("DICOMweb 10.0.0.7", study) as upload:
        for at in range(0, len(file), 1000):
            await upload.write(file[at : at + 1000])
        return await upload.keep()


def held(spool: Spool, uid: str = UID) -> list[EncodedInstance]:
    return [spool.read(one) for one in spool.index.list_instances(uid)]


async def test_a_file_is_kept_exactly(spool: Spool, uploads: IncomingFiles) -> None:
    sent = make(UID)
    kept = await send(uploads, sent.part10())
    assert (kept.study, kept.instance, kept.known, kept.beside) == (
        UID,
        sent.sop_instance_uid,
        False,
        False,
    )
    assert held(spool) == [sent]
    (study,) = spool.index.list_studies()
    assert study.callers == ("HOSPITAL",)
    assert (await send(uploads, sent.part10())).known
    assert (await send(uploads, make(UID, name="Other^Name").part10())).beside


async def test_what_a_file_says_of_itself_may_be_another_s(
    spool: Spool, uploads: IncomingFiles
) -> None:
    sent = make(UID)
    file = evolve(sent, sop_instance_uid="1.2.3.4").part10()
    assert (await send(uploads, file)).instance == sent.sop_instance_uid
    assert held(spool) == [sent]


async def test_what_is_refused_leaves_nothing(spool: Spool, uploads: IncomingFiles) -> None:
    sent = make(UID)
    with pytest.raises(BrokenInstanceError):
        await send(uploads, b"no DICOM at all")
    with pytest.raises(BrokenInstanceError):
        await send(uploads, evolve(sent, data=sent.data[:40]).part10())
    with pytest.raises(WrongStudyError):
        await send(uploads, sent.part10(), "1.2.2")
    with pytest.raises(NotAcceptableError, match="DICOMDIR"):
        await send(uploads, write_dicomdir([]))
    async with uploads.receive("x", None) as upload:
        await upload.write(sent.part10())
    assert not spool.index.list_studies()


async def test_what_lacks_its_header_says_what_it_is(spool: Spool, uploads: IncomingFiles) -> None:
    sent = make(UID)
    assert (await send(uploads, sent.data)).instance == sent.sop_instance_uid
    assert held(spool) == [sent]


async def test_a_full_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, reserve=10**17)
    try:
        with pytest.raises(DiskFullError):
            await send(IncomingFiles(spool, "HOSPITAL", member), make(UID).part10())
    finally:
        spool.close()


async def test_a_member_that_was_revoked_takes_nothing(spool: Spool) -> None:
    def revoked() -> None:
        raise RevokedError("this member was revoked")

    with pytest.raises(RevokedError):
        await send(IncomingFiles(spool, "HOSPITAL", revoked), make(UID).part10())


async def test_by_stow(spool: Spool, uploads: IncomingFiles) -> None:
    services = make_dicomweb(OneStudy(), allowed=lambda _: True, store=uploads)
    sent = [make(UID, 1, number) for number in (1, 2, 3)]
    other = make("1.2.2")
    parts = [b"\r\n--x\r\n\r\n" + one.part10() for one in [*sent, other]]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(services), base_url="http://127.0.0.1"
    ) as http:
        answer = await http.post(
            f"/dicom-web/studies/{UID}",
            content=b"".join(parts) + b"\r\n--x--",
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'},
        )
    assert answer.status_code == 202
    assert sorted(held(spool), key=lambda one: one.sop_instance_uid) == sent
    assert not held(spool, "1.2.2")
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [other.sop_instance_uid]
    assert failed["00081197"]["Value"] == [0xA900]
