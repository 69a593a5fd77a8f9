from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from broker.pacs.adapter import CLASSES_KEY
from broker.pacs.adapters.dimse import DimseAdapter, _classes
from broker.pacs.address import DimseAddress
from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.backend import Retrieval
from p2pacs.dimse.server.receiver import storage_receiver
from p2pacs.dimse.server.scp import DimseServer
from p2pacs.errors import BusyError, PacsError, StateError
from p2pacs.publish.source import Description, Detail, FailedInstance
from p2pacs.units import Endpoint
from tests.components import HOST, free_port, orthanc
from tests.conformance.instances import make

STUDY = "1.2.826.0.1.5"


def address_of(port: int, aet: str = "PACS") -> DimseAddress:
    return DimseAddress(DimseRemote(aet, HOST, port))


class Breaking:
    """A PACS that gives up after some instances."""

    def __init__(self, count: int) -> None:
        self.instances = [make(STUDY, 1, n) for n in range(1, count + 1)]

    @property
    def uids(self) -> list[str]:
        return [one.sop_instance_uid for one in self.instances]

    def find(
        self, _identifier: Dataset, _root: str, _caller: str, _options: SearchOptions
    ) -> FindAnswers:
        return FindAnswers(iter(()))

    def retrieve(self, *_asked: object, **_options: object) -> Retrieval:
        def instances() -> Iterator[EncodedInstance]:
            yield from self.instances
            raise BusyError("enough for today")

        return Retrieval(total=lambda: len(self.instances) + 3, instances=instances())

    def receive(self, _uids: InstanceUids, _caller: str) -> IncomingInstance:
        raise AssertionError


async def test_what_came_before_the_pacs_gave_up_is_kept() -> None:
    server = DimseServer("PACS", Endpoint(HOST, 0), Breaking(2), {})
    taken: list[object] = []
    async with server:
        pacs = DimseAdapter(address_of(server.port), "ME", None, silence=10)
        study = Description(STUDY, {CLASSES_KEY: entry("UI", str(CTImageStorage))}, ())
        async with pacs.retrieve(study, ["1.2", *Breaking(2).uids]) as stream:
            async for instance in stream:
                taken.append(instance)  # noqa: PERF401
    assert taken[:2] == Breaking(2).instances
    (failed,) = [one for one in taken if isinstance(one, FailedInstance)]
    assert failed.uid == "1.2"


async def test_a_pacs_that_is_to_move_needs_a_receiver() -> None:
    address = DimseAddress(DimseRemote("PACS", HOST, free_port()), "move")
    pacs = DimseAdapter(address, "ME", None)

    with pytest.raises(StateError, match="dicom"):
        await taken_of(pacs, Description(STUDY, {}, ()))


@pytest.mark.orthanc
async def test_a_pacs_without_c_get_is_asked_to_move(tmp_path: Path) -> None:
    port = free_port()
    stored = [make(STUDY, 1, n) for n in range(1, 4)]
    us = {"AET": "ME", "Host": HOST, "Port": port, "AllowGet": False}
    with orthanc(tmp_path, DicomModalities={"ME": us}, DicomAlwaysAllowGet=False) as running:
        await trio.to_thread.run_sync(running.load, [one.part10() for one in stored])
        address = address_of(running.dicom_port, running.aet)
        alone = DimseAdapter(address, "ME", None, silence=20)
        study = await alone.describe(STUDY, Detail.SERIES)
        with pytest.raises(PacsError):
            await taken_of(alone, study)
        async with storage_receiver("ME", Endpoint(HOST, port)) as receiver:
            both = DimseAdapter(address, "ME", receiver, silence=20)
            found = await taken_of(both, study)
    assert {one.sop_instance_uid for one in found} == {one.sop_instance_uid for one in stored}


async def taken_of(pacs: DimseAdapter, study: Description) -> list[EncodedInstance]:
    async with pacs.retrieve(study) as stream:
        return [one async for one in stream]


def test_sop_classes_come_from_wherever_the_pacs_tells_them() -> None:
    told = Description(STUDY, {CLASSES_KEY: entry("UI", "1.2.3", "1.2.4")}, ())
    assert list(_classes(told)) == ["1.2.3", "1.2.4"]
    silent = _classes(Description(STUDY, {}, ()))
    assert make(STUDY).sop_class_uid in silent
    assert not any(silent.values())
