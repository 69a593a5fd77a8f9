"""From the address of a PACS to its adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.pacs.adapter import PacsAdapter
from broker.pacs.address import DimseAddress, PacsAddress
from broker.pacs.dicomweb import WebAdapter, open_client
from broker.pacs.dimse import DimseAdapter
from p2pacs.dimse.receiver import storage_receiver
from p2pacs.dimse.scu import SILENCE_SECONDS
from p2pacs.dimse.tuning import TUNING, DimseTuning
from p2pacs.errors import StateError
from p2pacs.units import Endpoint


@asynccontextmanager
async def open_pacs(
    address: PacsAddress,
    *,
    aet: str,
    dicom: Endpoint | None,
    silence: float = SILENCE_SECONDS,
    tuning: DimseTuning = TUNING,
) -> AsyncIterator[PacsAdapter]:
    """The adapter for a PACS, with its receiver for C-MOVE where there is one.

    Args:
        address: from `parse_pacs`.
        aet: our own AE title.
        dicom: where the PACS may send to; None: nothing listens, and only C-GET is used.
        silence: seconds without a sign of life after which the PACS counts as hung.
        tuning: further deadlines and bounds, of DIMSE.

    Raises:
        StateError: C-MOVE is asked for, but ``dicom`` is not set; or that endpoint is taken.
    """
    if not isinstance(address, DimseAddress):
        async with open_client(address, silence) as client:
            yield WebAdapter(address, client)
    elif dicom is None or address.retrieve == "get":
        if address.retrieve == "move":
            raise StateError("?retrieve=move needs the key dicom in broker.toml: where to send to")
        yield DimseAdapter(address, aet, None, silence=silence, tuning=tuning)
    else:
        async with storage_receiver(aet, dicom, senders=[address.remote.host]) as receiver:
            yield DimseAdapter(address, aet, receiver, silence=silence, tuning=tuning)
