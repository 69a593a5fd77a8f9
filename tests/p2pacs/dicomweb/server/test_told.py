import json

import pytest

from p2pacs.dataset.header import DEFLATED, read_header
from p2pacs.dataset.metadata import MetadataWriter, metadata_of
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.dicomweb.server.told import InstanceMetadata
from p2pacs.errors import BrokenInstanceError
from tests.p2pacs.study import samples

INSTANCE = Resource("1.2", "1.3", "1.4")


@pytest.mark.parametrize("root", ["http://here/dicom-web", 'http://"odd"\\/\n'])
@pytest.mark.parametrize("description", ["CT", '"BulkDataURI":"x', "Schädel"])
def test_as_it_is_told_under_any_root(root: str, description: str) -> None:
    dataset = samples.dataset(SeriesDescription=description)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    data = samples.encode(dataset)
    header = read_header(data, samples.EXPLICIT)
    assert header is not None
    wanted = metadata_of(header, data, samples.EXPLICIT, f"{root}{INSTANCE.path}/bulkdata")
    made = InstanceMetadata.of(INSTANCE, data, samples.EXPLICIT, MetadataWriter())
    assert json.loads(made.under(root)) == wanted
    assert wanted["7FE00010"]["BulkDataURI"].startswith(root)
    assert made.size < len(made.under(root))


def test_without_pixels_there_is_no_link() -> None:
    dataset = samples.dataset()
    del dataset.PixelData
    data = samples.encode(dataset)
    made = InstanceMetadata.of(INSTANCE, data, samples.EXPLICIT, MetadataWriter())
    assert "7FE00010" not in json.loads(made.under("http://here"))


def test_what_is_no_header() -> None:
    with pytest.raises(BrokenInstanceError):
        InstanceMetadata.of(INSTANCE, b"not deflated", DEFLATED, MetadataWriter())
