"""What benchmarks share: the rest of it needs a whole network (`scripts/demo`)."""

from pathlib import Path

from scripts import phantom
from scripts.steps import make_study


async def test_a_study_of_noise_is_written_and_found(tmp_path: Path) -> None:
    study = await make_study(tmp_path, phantom.incompressible(2))
    assert study.uid == phantom.study_uid()
    assert [path.name for path in study.paths] == ["0001.dcm", "0002.dcm"]
    assert 2 * 2 * phantom.SIZE**2 < study.size < 2.01 * 2 * phantom.SIZE**2
