"""The same studies in a catalogue and in an archive, and what is searched for."""

from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pydicom
import pytest

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.dicomweb.server.query import SearchQuery
from scripts.many_studies import file, fill_index, fill_orthanc, searches, study
from tests.components import orthanc


def test_a_study_is_the_same_in_both(tmp_path: Path) -> None:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    fill_index(index, 5)
    assert len(index) == 5
    told, dataset = study(4), pydicom.dcmread(BytesIO(file(study(4))))
    assert index.by_uid(told.uid) == told
    assert dataset.StudyInstanceUID == told.uid
    assert dataset.SeriesInstanceUID == told.series[0].uid
    index.close()


def test_every_search_is_understood() -> None:
    for paths in searches(1000).values():
        for path in paths:
            parts = urlsplit(path)
            if parts.path == "/studies":
                assert SearchQuery.parse("STUDY", {}, parts.query.encode()).limit == 101
                assert dict(parse_qsl(parts.query))["offset"].isdigit()


@pytest.mark.orthanc
def test_an_archive_is_filled(tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as archive:
        fill_orthanc(archive, 7)
        assert len(archive.get("/studies")) == 7
