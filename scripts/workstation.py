"""A workstation: asks a gateway by C-MOVE and receives the images by C-STORE.

It receives through p2pacs's own storage server, which listens on loopback alone (DCMTK's
storescp would listen on every network). It asks with DCMTK's movescu where that is installed,
since it shares no code with p2pacs.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from pydicom.dataset import Dataset

from p2pacs.dicom.scp import DicomServer
from p2pacs.dicom.scu import DimseClient, DimseRemote
from p2pacs.errors import P2PacsError, UsageError
from p2pacs.instance import EncodedInstance
from p2pacs.units import Endpoint
from scripts.loaded import Digests, digest
from scripts.program import Command, ScriptError, free_port, output_of

AET = "WORKSTATION"
HOST = "127.3.0.1"
MOVE_SECONDS = 600.0


class Workstation:
    """Receives images and keeps only what tells whether they are the same."""

    def __init__(self, endpoint: Endpoint, log: Path) -> None:
        self.endpoint = endpoint
        self._log = log
        self._received: Digests = {}

    async def move(self, gateway: DimseRemote, study_uid: str) -> None:
        """C-MOVE of a study to this workstation; returns when the gateway says that it is done.

        Raises:
            ScriptError: the gateway says that something went wrong.
        """
        if shutil.which("movescu"):
            await self._movescu(gateway, study_uid)
            return
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = study_uid
        try:
            await DimseClient(gateway, AET).move(identifier, AET)
        except P2PacsError as error:
            raise ScriptError(f"C-MOVE from {gateway.aet}: {error}") from error

    async def _movescu(self, gateway: DimseRemote, study_uid: str) -> None:
        command: Command = ["movescu", "-S", "-aet", AET, "-aec", gateway.aet, "-aem", AET]
        command += ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"]
        command += [gateway.host, str(gateway.port)]
        await output_of("movescu", command, self._log, seconds=MOVE_SECONDS)

    def take(self) -> Digests:
        """What was received since the last call."""
        received, self._received = self._received, {}
        return received

    def store(self, instance: EncodedInstance, caller: str) -> None:
        """One C-STORE."""
        self._received[instance.sop_instance_uid] = digest(instance)


