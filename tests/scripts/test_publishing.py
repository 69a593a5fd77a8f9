from argparse import Namespace
from pathlib import Path

import pytest

from p2pacs.study.images import Coding
from scripts import phantom, publishing


@pytest.mark.orthanc
@pytest.mark.system
async def test_real_slices_are_turned_and_published(tmp_path: Path) -> None:
    phantom.write(tmp_path / "given", phantom.slices(2))
    given = Namespace(dicom=tmp_path / "given", slices=5, coding=Coding.PROGRESSIVE)
    figures = await publishing.run(tmp_path, given)
    assert figures["ratio"] > 2
    assert set(figures["megabytes_per_second"]) == {"dicomweb", "c-get"}
    for name in ("dicomweb", "c-get"):
        assert figures["megabytes_per_second"][name] > 0
        assert 60 < figures["peak_megabytes"][name] < 400
        assert figures["cpu_seconds"][name]["workers"] > 0.1
