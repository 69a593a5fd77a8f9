"""DCMTK's dcmqrscp as the central PACS: it counts nothing and knows few attributes."""

from pathlib import Path

import pytest

from broker.pacs.adapter import DateSpan
from broker.pacs.adapters.dimse import DimseAdapter
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import DimseAddress, parse_pacs
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.json_model import number, text
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.errors import PacsRefusedError
from p2pacs.publish.headers import with_headers
from p2pacs.publish.source import Detail
from p2pacs.study.coding import code
from p2pacs.study.study_index import InstanceEntry
from p2pacs.units import Endpoint
from tests.broker.publish.bench import bench
from tests.components import HOST, dcmqrscp, free_port

from .instances import make
from .pacs_suite import CT, ct

pytestmark = pytest.mark.dcmtk


async def test_a_pacs_that_tells_no_counts_and_few_attributes(tmp_path: Path) -> None:
    stored = [*ct(3), make(CT, 2, BodyPartExamined="HEAD", PatientWeight="70.50")]
    with dcmqrscp(tmp_path) as pacs:
        remote = DimseRemote(pacs.aet, HOST, pacs.port)
        await DimseClient(remote, "TEST").store(stored)
        adapter = DimseAdapter(DimseAddress(remote), "TEST", None)
        (listed,) = [one async for one in adapter.studies(DateSpan())]
        assert text(listed, "StudyInstanceUID") == CT
        study = await adapter.describe(CT, Detail.SERIES)
        assert {series.uid for series in study.series} == {f"{CT}.1", f"{CT}.2"}
        assert study.count is None
        assert len((await adapter.describe(CT)).instances) == 4
        async with adapter.retrieve(study) as stream:
            came = [one async for one in stream]
    assert sorted(one.sop_instance_uid for one in came) == sorted(
        one.sop_instance_uid for one in stored
    )

    # Once published, the headers tell what the PACS does not.
    entries = [
        InstanceEntry(
            one.sop_class_uid, one.sop_instance_uid, one.series_instance_uid,
            one.transfer_syntax_uid, one.sha256, one.size, (), one.attributes,
        )
        for one in map(code, came)
    ]  # fmt: skip
    known = with_headers(study, entries)
    assert known.count == 4
    assert number(known.attributes, "NumberOfStudyRelatedInstances") == 4
    of = {series.uid: series.attributes for series in known.series}
    assert text(of[f"{CT}.2"], "BodyPartExamined") == "HEAD"


async def test_it_is_published_once_and_then_compared(tmp_path: Path) -> None:
    stored, mine = [*ct(3), make(CT, 2)], free_port()
    with dcmqrscp(tmp_path / "pacs", moves_to={"P2PACS": mine}) as running:
        await DimseClient(DimseRemote(running.aet, HOST, running.port), "TEST").store(stored)
        address = parse_pacs(f"dimse://{running.aet}@{HOST}:{running.port}")
        async with (
            open_pacs(address, aet="P2PACS", dicom=Endpoint(HOST, mine), silence=20) as pacs,
            bench(tmp_path, pacs=pacs) as b,
        ):
            progress = await b.publish(CT)
            assert progress.left_out == 0
            assert len(await b.held(CT)) == len(stored)
            (record,) = b.records
            assert text(study_view(record), "NumberOfStudyRelatedInstances") == str(len(stored))
            assert (await b.publish(CT)).version == progress.version


async def test_a_move_destination_that_is_not_known(tmp_path: Path) -> None:
    with dcmqrscp(tmp_path, moves_to={"P2PACS": free_port()}) as running:
        await DimseClient(DimseRemote(running.aet, HOST, running.port), "TEST").store(ct(1))
        address = parse_pacs(f"dimse://{running.aet}@{HOST}:{running.port}?retrieve=move")
        async with open_pacs(address, aet="OTHER", dicom=Endpoint(HOST, free_port())) as pacs:
            study = await pacs.describe(CT)
            with pytest.raises(PacsRefusedError, match="our AE title as a destination"):
                async with pacs.retrieve(study) as stream:
                    _ = [one async for one in stream]
