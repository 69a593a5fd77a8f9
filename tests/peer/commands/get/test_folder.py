import hashlib
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import LocalError
from peer.commands.get.folder import FileOrder, StudyFolder
from tests.p2pacs.study.samples import instance

ONE, OTHER = instance(1, rows=8, columns=8), instance(2, rows=8, columns=8)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


places = st.integers(0, 99_999)
orders = st.builds(
    FileOrder, st.integers(1, 99_999), st.integers(1, 99), st.integers(0, 9999), places
)


@given(st.lists(orders, max_size=12))
def test_sorting_by_name_gives_series_and_images_in_order(given: list[FileOrder]) -> None:
    by_name = sorted(given, key=lambda one: one.name)
    key = [(one.series_number, one.series, one.place, one.number) for one in by_name]
    assert key == sorted(key)


def test_names() -> None:
    assert FileOrder(64, 1, 3, 16).name == "series-0003-01/00016-00064.dcm"
    assert FileOrder(64).name == "series-0000-01/00000-00064.dcm"
    assert FileOrder(7, 2, -5, 10**17).name == "series-0000-02/00000-00007.dcm"
    line = {"number": 64, "series": 2, "series_number": 5, "place": 16}
    assert FileOrder.of(line) == FileOrder(64, 2, 5, 16)
    assert FileOrder.of({"number": 64, "series": 2}) == FileOrder(64, 2), "a peer of 0.1"


def test_what_is_whole_is_found_by_a_later_run_whatever_its_name(tmp_path: Path) -> None:
    order = FileOrder(64, 1, 3, 16)
    with StudyFolder(tmp_path) as folder:
        assert not folder.holds(order, sha(ONE.data))
        folder.write(order, ONE.part10())
        assert folder.holds(order, sha(ONE.data))
    (written,) = tmp_path.rglob("*.dcm")
    assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700
    later = FileOrder(64, 1, 3, 17)  # its Instance Number was corrected, its data set was not read
    folder = StudyFolder(tmp_path)
    assert folder.holds(later, sha(ONE.data))
    assert not folder.holds(later, sha(OTHER.data))
    assert not folder.holds(FileOrder(65, 1, 3, 16), sha(ONE.data))
    assert names(tmp_path) == ["series-0003-01/00016-00064.dcm"]


def test_a_newer_version_of_an_instance_takes_the_place_of_the_older(tmp_path: Path) -> None:
    StudyFolder(tmp_path).write(FileOrder(1, 1, 3, 16), ONE.part10())
    StudyFolder(tmp_path).write(FileOrder(1, 1, 3, 5), ONE.part10())
    assert names(tmp_path) == ["series-0003-01/00005-00001.dcm"]


def test_what_belongs_to_another_instance_is_not_removed(tmp_path: Path) -> None:
    StudyFolder(tmp_path).write(FileOrder(1, 1, 3, 16), ONE.part10())
    (tmp_path / "series-0003-01" / "00009-00001.dcm").write_bytes(b"no DICOM")
    StudyFolder(tmp_path).write(FileOrder(1, 1, 3, 5), OTHER.part10())
    assert len(names(tmp_path)) == 3


def test_a_folder_of_0_1_stays_flat(tmp_path: Path) -> None:
    (tmp_path / "00064.dcm").write_bytes(ONE.part10())
    folder = StudyFolder(tmp_path)
    assert folder.holds(FileOrder(64, 1, 3, 16), sha(ONE.data))
    folder.write(FileOrder(65, 1, 3, 17), OTHER.part10())
    assert names(tmp_path) == ["00064.dcm", "00065.dcm"]


def test_other_files_do_not_matter(tmp_path: Path) -> None:
    for name in ("sheet.png", "1.dcm", "DICOMDIR", "series-x"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "series-0001-01").write_bytes(b"a file, no folder")
    folder = StudyFolder(tmp_path)
    folder.write(FileOrder(1, 2, 3, 16), ONE.part10())
    assert "series-0003-02/00016-00001.dcm" in names(tmp_path)


def test_what_cannot_be_written_leaves_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LocalError), StudyFolder(tmp_path) as folder:
        folder.write(FileOrder(1), ONE.part10())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot read the folder"):
        StudyFolder(tmp_path / "none")
