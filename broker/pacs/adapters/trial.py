"""What a PACS can do for a broker, tried out: for whoever sets one up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio
from attrs import evolve
from pydicom.dataset import Dataset

from broker.pacs.adapters.dicomweb import open_client
from broker.pacs.address import DimseAddress, WebAddress
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.dimse.association import contexts
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.errors import (
    BrokenInstanceError,
    PacsDataError,
    PacsError,
    StudyNotFoundError,
)
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.process.health import Health, HealthCheck

NOWHERE = "2.25.1"
"""A Study Instance UID that no study has."""

SILENCE = 10.0
"""Seconds without an answer."""


async def dimse_checks(
    address: DimseAddress, aet: str, tls: DicomTls, *, moves: bool
) -> Sequence[HealthCheck]:
    """C-ECHO, a search, and which services it accepts to retrieve by.

    Args:
        address: of the PACS.
        aet: our AE title.
        tls: certificates, where it listens for TLS.
        moves: whether it can send to us on a C-MOVE, or report (``dicom`` in broker.toml).

    Raises:
        PacsError: no association with it, or no C-ECHO.
        DeadlineError: it hangs.
    """
    remote = address.remote
    if address.tls:
        await trio.to_thread.run_sync(tls.client)  # a mistake is told as what it is
        remote = evolve(remote, tls=tls.client)
    client = DimseClient(remote, aet, silence=SILENCE)
    await client.echo()
    get, move = contexts.GET["STUDY"], contexts.MOVE["STUDY"]
    offered = await client.offers((get, move, contexts.COMMITMENT))
    return [
        HealthCheck("PACS", Health.GOOD, f"{remote} answers a C-ECHO of {aet}."),
        await _searches(client, aet),
        _retrieves(aet, gets=get in offered, sends=move in offered, moves=moves),
        _commits(address, aet, offers=contexts.COMMITMENT in offered, hears=moves),
    ]


async def _searches(client: DimseClient, aet: str) -> HealthCheck:
    """A search that finds nothing: some accept the service, and refuse the request."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = NOWHERE
    try:
        await client.find(identifier)
    except PacsError:  # refused, or the association ended (Orthanc)
        return HealthCheck(
            "PACS: C-FIND",
            Health.BAD,
            f"It refuses a search (Study Root) of {aet}.",
            "Allow C-FIND for this AE title in the PACS: no study is found without it.",
        )
    return HealthCheck("PACS: C-FIND", Health.GOOD, "It answers a search (Study Root).")


def _retrieves(aet: str, *, gets: bool, sends: bool, moves: bool) -> HealthCheck:
    name = "PACS: C-GET, C-MOVE"
    if gets:
        also = ", and C-MOVE" if sends and moves else ""
        return HealthCheck(name, Health.GOOD, f"It accepts C-GET{also}.")
    if sends and moves:
        return HealthCheck(name, Health.GOOD, "It accepts C-MOVE, and no C-GET.")
    if sends:
        return HealthCheck(
            name,
            Health.BAD,
            "It accepts C-MOVE alone, and cannot send here.",
            f"Set dicom in broker.toml, and register that address as {aet} in the PACS.",
        )
    return HealthCheck(
        name,
        Health.BAD,
        f"It accepts neither C-GET nor C-MOVE of {aet}.",
        "Allow one of them for this AE title in the PACS.",
    )


def _commits(address: DimseAddress, aet: str, *, offers: bool, hears: bool) -> HealthCheck:
    """Whether it promises to keep what it is given; without that it is read back."""
    name = "PACS: Storage Commitment"
    must, hears = address.commitment == "yes", hears and address.retrieve != "get"
    if must and not offers:
        return HealthCheck(
            name,
            Health.BAD,
            f"Its address says ?commitment=yes, and it does not offer this to {aet}.",
            "Allow it for this AE title in the PACS, or write ?commitment=no.",
        )
    if not offers:
        return HealthCheck(name, Health.GOOD, "It is not offered: what is stored is read back.")
    if must or (hears and address.commitment is None):
        return HealthCheck(name, Health.GOOD, "It offers it, and is asked for it.")
    return HealthCheck(name, Health.GOOD, "It offers it, and is not asked for it.")


async def dicomweb_checks(address: WebAddress) -> Sequence[HealthCheck]:
    """A search, and the retrieval of one instance if there is one.

    Raises:
        PacsError: no services there, or they fail.
        DeadlineError: they hang.
    """
    async with open_client(address, SILENCE) as client:
        await client.probe()
        return [
            HealthCheck("PACS", Health.GOOD, f"{address} answers a search (QIDO-RS)."),
            await _retrieval(client),
        ]


async def _retrieval(client: DicomwebClient) -> HealthCheck:
    """One instance of the first study that is listed."""
    name = "PACS: WADO-RS"
    found = await _first_instance(client)
    if found is None:
        return HealthCheck(name, Health.GOOD, "Not tried: no study is there to retrieve.")
    try:
        async with client.retrieve(*found) as parts:
            async for part in parts:
                if not isinstance(part, BrokenInstanceError):
                    return HealthCheck(name, Health.GOOD, "It gives an instance as it stores it.")
    except (StudyNotFoundError, BrokenInstanceError):
        pass
    return HealthCheck(
        name,
        Health.BAD,
        "It lists a study, and does not give an instance of it.",
        "Allow this account to retrieve (WADO-RS) in the PACS, and look into its log.",
    )


async def _first_instance(client: DicomwebClient) -> tuple[str, str, str] | None:
    path, uids = "", list[str]()
    for level, keyword in (
        ("studies", "StudyInstanceUID"),
        ("series", "SeriesInstanceUID"),
        ("instances", "SOPInstanceUID"),
    ):
        page = await client.page(f"{path}/{level}?limit=1")
        if not page.entities:
            return None
        first = page.entities[0]
        uid = "" if isinstance(first, PacsDataError) else _uid(first, keyword)
        if not uid:
            return None
        uids.append(uid)
        path += f"/{level}/{uid}"
    study, series, instance = uids
    return study, series, instance


def _uid(entity: Mapping[str, Any], keyword: str) -> str:
    values = entity.get(tag(keyword), {}).get("Value") or [""]
    return str(values[0])
