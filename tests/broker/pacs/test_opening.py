import pytest

from broker.pacs.address import parse_pacs
from broker.pacs.dicomweb import WebAdapter
from broker.pacs.dimse import DimseAdapter
from broker.pacs.opening import open_pacs
from p2pacs.errors import StateError
from p2pacs.units import Endpoint
from tests.components import HOST, free_port


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


async def test_moving_without_a_receiver_is_refused() -> None:
    address = parse_pacs("dimse://P@127.0.0.1:104?retrieve=move")
    with pytest.raises(StateError, match="dicom"):
        async with open_pacs(address, aet="ME", dicom=None):
            raise AssertionError
