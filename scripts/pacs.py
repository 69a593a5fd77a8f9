"""The PACS of a demo or benchmark, with one study or empty: the embedded archive, or Orthanc."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

import trio
from attrs import frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from scripts.loaded import Digests, LoadedStudy, digest, read_digests
from scripts.program import P2PACS, Command, Program, ScriptError, free_port, listens, running
from tests.components import Orthanc, has_orthanc, orthanc

PACS = ("embedded", "orthanc")
HOST = "127.1.0.9"
AET = "ARCHIVE"


@asynccontextmanager
async def open_pacs(
    kind: str, folder: Path, study: LoadedStudy, host: str = HOST
) -> AsyncIterator[str]:
    """Runs a PACS with this study in it; gives its address as `p2pacs broker init` takes it.

    Args:
        kind: one of `PACS`.
        folder: where its own folder is made.
        study: loaded before it is used.
        host: this machine's address that the embedded archive listens on.
    """
    if kind == "orthanc":
        async with open_orthanc(folder, study) as server:
            yield server.dicomweb
    else:
        async with _embedded(folder / "archive", study, host) as (address, _):
            yield address


@frozen
class EmptyPacs:
    """A PACS that had nothing when it was opened."""

    address: str
    """As `p2pacs broker init` takes it."""
    count: Callable[[], int]
    """Instances that it has now."""
    digests: Callable[[], Digests]
    """Of what it has now."""
    program: Program | None = None
    """What it runs in, where it is the embedded one."""


@asynccontextmanager
async def open_empty_pacs(kind: str, folder: Path, host: str = HOST) -> AsyncIterator[EmptyPacs]:
    """Runs a PACS that has nothing yet.

    Args:
        kind: one of `PACS`.
        folder: where its own folder is made.
        host: this machine's address that the embedded archive listens on.
    """
    if kind == "orthanc":
        async with open_orthanc(folder, None) as server:
            yield contents_of(server, server.dicomweb)
    else:
        files = folder / "archive"
        async with _embedded(files, None, host) as (address, program):
            yield EmptyPacs(
                address,
                lambda: sum(1 for _ in files.glob("*.dcm")),
                partial(read_digests, files),
                program,
            )


def contents_of(
    server: Orthanc,
    address: str,
    inside: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> EmptyPacs:
    """What an Orthanc that was empty has.

    Args:
        server: running.
        address: by which a broker reaches it.
        inside: from within which it is asked here.
    """

    def count() -> int:
        with inside():
            return int(server.get("/statistics")["CountInstances"])

    def digests() -> Digests:
        with inside():
            files = [server.file(name) for name in server.instances()]
        read = map(EncodedInstance.from_part10, files)
        return {one.sop_instance_uid: digest(one) for one in read}

    return EmptyPacs(address, count, digests)


@asynccontextmanager
async def _embedded(
    folder: Path, study: LoadedStudy | None, host: str
) -> AsyncIterator[tuple[str, Program]]:
    folder.parent.mkdir(exist_ok=True)
    remote = DimseRemote(AET, host, free_port(host))
    command: Command = [*P2PACS, "archive", folder, "--aet", AET]
    command += ["--dicom", f"{host}:{remote.port}"]

    async def answers() -> bool:
        return await trio.to_thread.run_sync(listens, host, remote.port)

    async with running("archive", command, folder.with_suffix(".log")) as program:
        await program.ready(answers)
        if study is not None:
            await DimseClient(remote, "MODALITY").store(study.instances())
        yield f"dimse://{AET}@{host}:{remote.port}", program


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
