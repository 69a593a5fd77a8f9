"""DCMTK's dcmqrscp as the central PACS: it counts nothing and knows few attributes."""

from pathlib import Path

import pytest

from broker.pacs.adapter import DateSpan
from broker.pacs.address import DimseAddress
from broker.pacs.dimse import DimseAdapter
from p2pacs.dataset.json_model import number, text
from p2pacs.dimse.remote import DimseRemote
from p2pacs.dimse.scu import DimseClient
from p2pacs.publish.headers import with_headers
from p2pacs.publish.source import Detail
from p2pacs.study.coding import code
from p2pacs.study.study_index import InstanceEntry
from tests.components import HOST, dcmqrscp

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
