"""The instance of gigabytes is one that DCMTK sends as it is."""

from pathlib import Path

import pytest

from scripts.huge import STORE_OPTIONS
from scripts.huge_file import Kind, data_set_digest, make
from tests.components import dcmtk, storescp


@pytest.mark.dcmtk
@pytest.mark.parametrize("kind", [Kind.NATIVE, Kind.ENCAPSULATED, Kind.ONE_FRAGMENT])
def test_storescu_changes_nothing_of_it(tmp_path: Path, kind: Kind) -> None:
    file = make(tmp_path / "huge.dcm", 2_100_000, kind)
    options = [STORE_OPTIONS[kind]] if kind in STORE_OPTIONS else []
    with storescp(tmp_path / "in", "+xa") as station:
        sent = dcmtk(
            "storescu",
            *options,
            "-aec",
            station.aet,
            "127.0.0.1",
            str(station.port),
            str(file.path),
        )
    assert sent.returncode == 0
    (kept,) = (tmp_path / "in").iterdir()
    assert data_set_digest(kept) == data_set_digest(file.path)
