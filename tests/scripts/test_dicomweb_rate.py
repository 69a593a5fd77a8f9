"""The benchmark of DICOMweb, on a small study and a few to search in."""

from argparse import Namespace
from pathlib import Path

import pytest

from scripts import dicomweb_rate


@pytest.mark.orthanc
@pytest.mark.system
async def test_both_are_measured(tmp_path: Path) -> None:
    given = Namespace(slices=3, studies=20, archive=None)
    figures = await dicomweb_rate.run(tmp_path, given, settled=0)
    assert figures["instances"] == 3
    for name in ("study_read_on_arrival", "study_read_after_start"):
        assert figures[name]["mb_s"]["p2pacs"] > 0
    assert figures["study_first_read"]["first_byte"]["p2pacs"] > 0
    for name in ("study_first_read", "study", "metadata", "frame"):
        for server in ("p2pacs", "orthanc"):
            assert 0 < figures[name][server]["least"] <= figures[name][server]["median"]
    assert set(figures["searches"]) >= {
        *("list", "name", "id", "birth_date", "date", "modality", "description"),
        *("accession_number", "referring_physician", "series"),
    }
