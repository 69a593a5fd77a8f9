"""From the address of a PACS to its adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import evolve

from broker.pacs.adapter import PacsAdapter
from broker.pacs.adapters.dicomweb import WebAdapter, open_client
from broker.pacs.adapters.dimse import DimseAdapter
from broker.pacs.address import DimseAddress, PacsAddress
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.client.scu import SILENCE_SECONDS
from p2pacs.dimse.server.receiver import storage_receiver
from p2pacs.errors import StateError
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.units import Endpoint


@asynccontextmanager
async def open_pacs(
    address: PacsAddress,
    *,
    aet: str,
    dicom: Endpoint | None,
    tls: DicomTls | None = None,
    silence: float = SILENCE_SECONDS,
    tuning: DimseTuning = TUNING,
    folder: Path | None = None,
) -> AsyncIterator[PacsAdapter]:
    """The adapter for a PACS, with its receiver for C-MOVE and reports where there is one.

    Args:
        address: from `parse_pacs`.
        aet: our own AE title.
        dicom: where the PACS may send to; None: nothing listens, and only C-GET is used.
        tls: certificates for a PACS that speaks DIMSE over TLS.
        silence: seconds without a sign of life after which the PACS counts as hung.
        tuning: further deadlines and bounds, of DIMSE.
        folder: on whose disk large instances lie that come; None: in memory.

    Raises:
        StateError: C-MOVE is asked for, but ``dicom`` is not set; or that endpoint is taken, or a
            certificate cannot be used.
    """
    if not isinstance(address, DimseAddress):
        async with open_client(address, silence, folder) as client:
            yield WebAdapter(address, client)
        return
    files = tls if address.tls else None
    if files is not None:
        await trio.to_thread.run_sync(files.client)  # a mistake in the settings is told at once
        address = evolve(address, remote=evolve(address.remote, tls=files.client))
    is_silent = address.retrieve == "get" and address.commitment != "yes"
    if dicom is None or is_silent:
        if address.retrieve == "move":
            raise StateError("?retrieve=move needs the key dicom in broker.toml: where to send to")
        yield DimseAdapter(address, aet, None, silence=silence, tuning=tuning, folder=folder)
    else:
        secure = None if files is None else files.server
        hosts = [address.remote.host]
        async with storage_receiver(
            aet, dicom, senders=hosts, tls=secure, folder=folder
        ) as receiver:
            yield DimseAdapter(
                address, aet, receiver, silence=silence, tuning=tuning, folder=folder
            )
