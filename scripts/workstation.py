"""A workstation: asks a gateway by C-MOVE and receives the images by C-STORE (pynetdicom).

It listens on loopback alone. (DCMTK's storescp would listen on every network; the tests have
DCMTK and Orthanc as workstations.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen
from pydicom.dataset import Dataset

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.dimse.server.receiver import StorageReceiver, storage_receiver
from p2pacs.units import Endpoint
from scripts.loaded import Digests, digest
from scripts.program import free_port

AET = "WORKSTATION"
HOST = "127.3.0.1"
PATIENCE_SECONDS = 300.0
"""A first image may take as long as a whole study over one uplink."""


@frozen
class Workstation:
    """Receives images and keeps only what tells whether they are the same."""

    endpoint: Endpoint
    _receiver: StorageReceiver

    async def move(self, gateway: DimseRemote, study_uid: str) -> Digests:
        """C-MOVE of a study to here; what came, when the gateway says that it was all.

        Raises:
            P2PacsError: the gateway says that something went wrong.
        """
        client = DimseClient(gateway, AET, silence=PATIENCE_SECONDS)
        received: Digests = {}
        async with client.move(study_identifier(study_uid), self._receiver) as instances:
            async for instance in instances:
                if isinstance(instance, EncodedInstance):  # all: no folder for large ones is told
                    received[instance.sop_instance_uid] = digest(instance)
        return received


@asynccontextmanager
async def workstation() -> AsyncIterator[Workstation]:
    """A workstation that listens while the block runs."""
    endpoint = Endpoint(HOST, free_port(HOST))
    async with storage_receiver(AET, endpoint) as receiver:
        yield Workstation(endpoint, receiver)


def study_identifier(study_uid: str) -> Dataset:
    """What a C-MOVE or C-GET of a whole study asks for (PS3.4 C.4.2.1)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_uid
    return identifier
