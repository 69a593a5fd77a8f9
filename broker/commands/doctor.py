"""What is wrong with a broker's set-up."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from broker.config import (
    AUTHORITY,
    IDENTITY,
    LOCK,
    STORE,
    WEB,
    BrokerSettings,
    load_broker_settings,
)
from broker.pacs.adapters.trial import dicomweb_checks, dimse_checks
from broker.pacs.address import DimseAddress
from p2pacs.doctor.certificates import OWN, RENEWED, certificate_checks
from p2pacs.doctor.examination import PlannedCheck, failed, good, runs
from p2pacs.doctor.machine import machine_checks
from p2pacs.errors import P2PacsError
from p2pacs.files.locks import is_locked
from p2pacs.identity import dicom_tls
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.identity.node import CERTIFICATE
from p2pacs.pages.certificate import CERTIFICATE as WEB_CERTIFICATE
from p2pacs.process.health import HealthCheck
from p2pacs.web.addresses import machine_names

ROOT_ENDS: Final = "Every member has to join a new network before it ends: plan that early."


def plan_broker(folder: Path) -> tuple[list[HealthCheck], list[PlannedCheck]]:
    """What is known at once, and what is to be looked at."""
    try:
        settings = load_broker_settings(folder)
        running = is_locked(folder / LOCK)
    except P2PacsError as error:
        known = [failed("Settings", str(error), "Correct the file: ports and PACS wait for it.")]
        return known, machine_checks(folder, folder / STORE, [], running=False)
    known = [good("Settings", "broker.toml is valid."), runs(folder, "broker", running=running)]
    listen = settings.listen
    ports = [
        *(("listen", one) for one in listen),
        ("web.listen", settings.web.listen),
        ("dicom", settings.dicom),
        ("metrics.listen", settings.metrics.listen),
    ]
    certificates = {
        "Certificate of the broker": (folder / IDENTITY / CERTIFICATE, RENEWED),
        "Certificate of the authority": (folder / AUTHORITY / "authority.pem", ROOT_ENDS),
        "Certificate of the pages": (folder / WEB / WEB_CERTIFICATE, RENEWED),
        "Certificate of DICOM over TLS": _dicom_certificate(folder, settings),
    }
    return known, [
        *machine_checks(folder, folder / STORE, ports, running=running),
        *certificate_checks(certificates),
        _pacs(folder, settings),
    ]


def _dicom_certificate(folder: Path, settings: BrokerSettings) -> tuple[Path, str]:
    named = settings.dicom_tls.certificate
    made = f"{dicom_tls.FOLDER}/{dicom_tls.CERTIFICATE}"
    return folder / (named or made), OWN if named else RENEWED


def _pacs(folder: Path, settings: BrokerSettings) -> PlannedCheck:
    address = settings.central_pacs
    if isinstance(address, DimseAddress):
        tls = DicomTls(folder, settings.dicom_tls, settings.aet, machine_names)
        look = partial(dimse_checks, address, settings.aet, tls, moves=settings.dicom is not None)
        return PlannedCheck("PACS", look)
    return PlannedCheck("PACS", partial(dicomweb_checks, address))
