from pathlib import Path

import pytest
import trio

from scripts.publish_rate import measure
from tests.components import orthanc
from tests.conformance.instances import make


@pytest.mark.orthanc
@pytest.mark.parametrize("form", ["dimse", "dicomweb"])
async def test_a_running_pacs_is_measured(tmp_path: Path, form: str) -> None:
    stored = [make(f"1.2.826.0.1.{study}", 1, n) for study in (1, 2) for n in (1, 2, 3)]
    with orthanc(tmp_path / "pacs") as running:
        await trio.to_thread.run_sync(running.load, [one.part10() for one in stored])
        done = await measure(getattr(running, form), tmp_path / "store")
    assert (done.studies, done.instances) == (2, 6)
    assert done.bytes == sum(len(one.data) for one in stored)
    assert 0 < done.stored < done.bytes
    assert done.mb_per_second > 0
    assert done.peak_bytes > 50_000_000  # the program and a worker
    assert 0 < done.cpu_seconds < 60
    assert 0 < done.worker_cpu_seconds < 60
