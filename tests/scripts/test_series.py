"""The series of a folder: by Series Instance UID, named without what files say of a patient."""

from pathlib import Path

import pytest

from p2pacs.dataset.instance import EncodedInstance
from scripts import phantom
from scripts.program import ScriptError
from scripts.series import find_series
from tests.conformance.instances import make


def write(path: Path, instance: EncodedInstance) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(instance.part10())


def test_a_folder_with_one_series_is_its_name(tmp_path: Path) -> None:
    phantom.write(tmp_path / "ct" / "one", phantom.slices(2))
    write(tmp_path / "mr" / "a", make("1.2.3", modality="MR"))
    (tmp_path / "mr" / "notes.txt").write_text("no DICOM")
    found = find_series(tmp_path)
    assert [(one.name, one.modality, len(one.paths)) for one in found] == [
        ("ct/one", "CT", 2),
        ("mr", "MR", 1),
    ]
    assert found[0].instances() == list(phantom.slices(2))
    assert find_series(tmp_path / "mr")[0].name == "mr"


def test_several_series_in_a_folder_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "1", make("1.2.3", 1))
    write(tmp_path / "2", make("1.2.3", 2, modality="MR"))
    write(tmp_path / "3", make("1.2.3", 1, 2))
    found = find_series(tmp_path)
    assert [(one.name, len(one.paths)) for one in found] == [
        (f"{tmp_path.name} CT 1", 2),
        (f"{tmp_path.name} MR 2", 1),
    ]


def test_a_copy_counts_once_and_a_contradiction_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "1", make("1.2.3"))
    write(tmp_path / "2", make("1.2.3"))
    assert len(find_series(tmp_path)[0].instances()) == 1
    write(tmp_path / "3", make("1.2.3", name="Other^Name"))
    with pytest.raises(ScriptError, match="differs"):
        find_series(tmp_path)[0].instances()


def test_a_folder_without_series_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="no DICOM"):
        find_series(tmp_path)
    with pytest.raises(ScriptError, match="is no folder"):
        find_series(tmp_path / "missing")
