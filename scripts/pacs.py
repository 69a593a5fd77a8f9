"""The PACS of a demo or benchmark, holding one study: the embedded archive, or a real Orthanc."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from p2pacs.dicom.remote import DimseRemote
from p2pacs.dicom.scu import DimseClient
from scripts.loaded import LoadedStudy
from scripts.network import P2PACS
from scripts.program import Command, ScriptError, free_port, listens, running
from tests.components import has_orthanc, orthanc

PACS = ("embedded", "orthanc")
HOST = "127.1.0.9"
AET = "ARCHIVE"


@asynccontextmanager
async def open_pacs(kind: str, folder: Path, study: LoadedStudy) -> AsyncIterator[str]:
    """Runs a PACS with this study in it; gives its address as `p2pacs broker init` takes it."""
    if kind == "orthanc":
        async with _orthanc(folder / "orthanc", study) as address:
            yield address
    else:
        async with _embedded(folder / "archive", study) as address:
            yield address


@asynccontextmanager
async def _embedded(folder: Path, study: LoadedStudy) -> AsyncIterator[str]:
    remote = DimseRemote(AET, HOST, free_port(HOST))
    command: Command = [*P2PACS, "archive", folder, "--aet", AET]
    command += ["--dicom", f"{HOST}:{remote.port}"]

    async def answers() -> bool:
        return await trio.to_thread.run_sync(listens, HOST, remote.port)

    async with running("archive", command, folder.with_suffix(".log")) as program:
        await program.ready(answers)
        await DimseClient(remote, "MODALITY").store(study.instances())
        yield f"dimse://{AET}@{HOST}:{remote.port}"


@asynccontextmanager
async def _orthanc(folder: Path, study: LoadedStudy) -> AsyncIterator[str]:
    if not has_orthanc():
        raise ScriptError("Orthanc is not installed. Debian: apt-get install orthanc-dicomweb")
    # Its REST interface keeps files as they are; DIMSE would let Orthanc encode them anew.
    with orthanc(folder, RemoteAccessAllowed=False) as server:
        await trio.to_thread.run_sync(server.load, study.paths)
        yield server.dicomweb
