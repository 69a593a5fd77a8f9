"""The study that goes in: the largest one of a folder, and how it must come out."""

from pathlib import Path

import pytest

from p2pacs.dataset.instance import EncodedInstance
from scripts import phantom
from scripts.loaded import digest, load_folder
from scripts.program import ScriptError


def test_the_largest_study_is_taken_and_other_files_are_not(tmp_path: Path) -> None:
    phantom.write(tmp_path / "deep" / "large", phantom.slices(2, seed=1))
    phantom.write(tmp_path / "small", phantom.slices(1, seed=2))
    (tmp_path / "notes.txt").write_text("no DICOM")
    study = load_folder(tmp_path)
    assert study.uid == phantom.study_uid(1)
    assert list(study.instances()) == list(phantom.slices(2, seed=1))
    assert study.size == sum(len(one.data) for one in study.instances())
    assert study.digests == {one.sop_instance_uid: digest(one) for one in study.instances()}


def test_a_copy_counts_once_and_a_contradiction_is_an_error(tmp_path: Path) -> None:
    phantom.write(tmp_path, phantom.slices(1))
    original = next(phantom.slices(1))
    (tmp_path / "copy.dcm").write_bytes(original.part10())
    assert len(load_folder(tmp_path).paths) == 1
    changed = EncodedInstance(
        original.sop_class_uid,
        original.sop_instance_uid,
        original.transfer_syntax_uid,
        original.data[:-1] + b"\x07",
    )
    (tmp_path / "copy.dcm").write_bytes(changed.part10())
    with pytest.raises(ScriptError, match="differs"):
        load_folder(tmp_path)


def test_a_folder_without_dicom_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="no DICOM files"):
        load_folder(tmp_path)
    with pytest.raises(ScriptError, match="is no folder"):
        load_folder(tmp_path / "missing")
