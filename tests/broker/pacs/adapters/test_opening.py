from pathlib import Path

import pytest

from broker.pacs.adapters.dicomweb import WebAdapter
from broker.pacs.adapters.dimse import DimseAdapter
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.errors import StateError
from p2pacs.identity.dicom_tls import CERTIFICATE, FOLDER, DicomTls
from p2pacs.settings import DicomTlsSettings
from p2pacs.units import Endpoint
from tests.components import HOST, free_port
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import instance, study


async def test_the_adapter_speaks_what_the_address_says() -> None:
    async with open_pacs(parse_pacs("dimse://P@127.0.0.1:104"), aet="ME", dicom=None) as pacs:
        assert isinstance(pacs, DimseAdapter)
        assert pacs.address == "P@127.0.0.1:104"
    async with open_pacs(parse_pacs("dicomweb+http://h/rs"), aet="ME", dicom=None) as pacs:
        assert isinstance(pacs, WebAdapter)
        assert pacs.address == "dicomweb+http://h/rs"


async def test_a_receiver_listens_only_where_one_is_needed() -> None:
    where = Endpoint(HOST, free_port())
    address = parse_pacs("dimse://P@127.0.0.1:104")
    async with open_pacs(address, aet="ME", dicom=where):
        with pytest.raises(StateError):
            async with open_pacs(address, aet="ME", dicom=where):
                raise AssertionError
        get_only = parse_pacs("dimse://P@127.0.0.1:104?retrieve=get")
        async with open_pacs(get_only, aet="ME", dicom=where):
            pass
        reports = parse_pacs("dimse://P@127.0.0.1:104?retrieve=get&commitment=yes")
        with pytest.raises(StateError):
            async with open_pacs(reports, aet="ME", dicom=where):
                raise AssertionError


async def test_moving_without_a_receiver_is_refused() -> None:
    address = parse_pacs("dimse://P@127.0.0.1:104?retrieve=move")
    with pytest.raises(StateError, match="dicom"):
        async with open_pacs(address, aet="ME", dicom=None):
            raise AssertionError


async def test_a_pacs_that_speaks_tls_sends_by_tls(tmp_path: Path) -> None:
    """Both ways: what is asked of it, and what it sends by C-MOVE."""

    def of(name: str, other: str) -> DicomTls:
        files = DicomTlsSettings(authorities=f"../{other}/{FOLDER}/{CERTIFICATE}")
        return DicomTls(tmp_path / name, files, name, lambda: [HOST])

    broker, pacs = of("broker", "pacs"), of("pacs", "broker")
    for tls in (broker, pacs):
        tls.server()
    where = Endpoint(HOST, free_port())
    back = {"ME": DimseRemote("ME", HOST, where.port, tls=pacs.client)}
    backend = Scripted([instance(1), instance(2)])
    async with serving(backend, back, tls=pacs.server) as server:
        address = parse_pacs(f"dimse+tls://GATEWAY@{HOST}:{server.port}?retrieve=move")
        async with open_pacs(address, aet="ME", dicom=where, tls=broker) as adapter:
            await adapter.check()
            assert isinstance(adapter, DimseAdapter)
            client, receiver = adapter._client, adapter._receiver
            assert receiver is not None
            async with client.move(study(), receiver) as inbox:
                assert [one async for one in inbox] == backend.held
