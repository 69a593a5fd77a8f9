"""The PACS of a demo or benchmark, with one study or none: the embedded archive, or Orthanc."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from scripts.loaded import LoadedStudy
from scripts.program import P2PACS, Command, ScriptError, free_port, listens, running
from tests.components import Orthanc, has_orthanc, orthanc

PACS = ("embedded", "orthanc")
HOST = "127.1.0.9"
AET = "ARCHIVE"


@asynccontextmanager
async def open_pacs(
    kind: str, folder: Path, study: LoadedStudy | None, host: str = HOST
) -> AsyncIterator[str]:
    """Runs a PACS with this study in it; gives its address as `p2pacs broker init` takes it.

    Args:
        kind: one of `PACS`.
        folder: where its own folder is made.
        study: loaded before it is used; None: it is empty.
        host: this machine's address that the embedded archive listens on.
    """
    if kind == "orthanc":
        async with open_orthanc(folder, study) as server:
            yield server.dicomweb
    else:
        async with _embedded(folder / "archive", study, host) as address:
            yield address


@asynccontextmanager
async def _embedded(folder: Path, study: LoadedStudy | None, host: str) -> AsyncIterator[str]:
    remote = DimseRemote(AET, host, free_port(host))
    command: Command = [*P2PACS, "archive", folder, "--aet", AET]
    command += ["--dicom", f"{host}:{remote.port}"]

    async def answers() -> bool:
        return await trio.to_thread.run_sync(listens, host, remote.port)

    async with running("archive", command, folder.with_suffix(".log")) as program:
        await program.ready(answers)
        if study is not None:
            await DimseClient(remote, "MODALITY").store(study.instances())
        yield f"dimse://{AET}@{host}:{remote.port}"


@asynccontextmanager
async def open_orthanc(
    folder: Path, study: LoadedStudy | None, modalities: Mapping[str, int] | None = None
) -> AsyncIterator[Orthanc]:
    """Runs a real Orthanc with this study in it.

    Args:
        folder: where its own folder is made.
        study: loaded by its REST interface, which keeps files as they are; by DIMSE, Orthanc
            would encode them anew. None: it is empty.
        modalities: where it may send: AE title → port of 127.0.0.1.
    """
    if not has_orthanc():
        raise ScriptError("Orthanc is not installed. Debian: apt-get install orthanc-dicomweb")
    # Without remote access, its HTTP side answers this machine alone.
    with orthanc(folder / "orthanc", modalities=modalities, RemoteAccessAllowed=False) as server:
        if study is not None:
            await trio.to_thread.run_sync(server.load, study.paths)
        yield server
