import os
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from p2pacs.dataset.dicomdir import DirectoryEntry, write_dicomdir
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import entry
from p2pacs.errors import BrokenInstanceError, UsageError
from peer.commands.send.files import digest_file, find_files
from tests.conformance.instances import make

UID = "1.2.826.7"


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_of_a_folder_all_that_is_dicom(tmp_path: Path) -> None:
    one = put(tmp_path / "b" / "1", make(UID, 1, 1).part10())
    two = put(tmp_path / "a.dcm", make(UID, 1, 2).part10())
    put(tmp_path / "b" / "readme.txt", b"nothing")
    put(tmp_path / "b" / "short", b"")
    found = find_files([tmp_path, one], force=False)
    assert found.files == [two, one]
    assert (found.others, found.lost) == (2, {})
    assert found.size == one.stat().st_size + two.stat().st_size


def test_what_is_named_and_is_not_there_or_no_dicom(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        find_files([tmp_path / "none"], force=False)
    text = put(tmp_path / "text", b"nothing")
    with pytest.raises(UsageError, match="--force"):
        find_files([text], force=False)
    assert find_files([text], force=True).files == [text]


def test_what_cannot_be_read_keeps_nothing_back(tmp_path: Path) -> None:
    one = put(tmp_path / "1", make(UID, 1, 1).part10())
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = find_files([tmp_path], force=False)
    assert (found.files, found.others) == ([one], 0)


@pytest.mark.parametrize("lower", [False, True])
def test_of_a_dicomdir_what_it_names(tmp_path: Path, lower: bool) -> None:
    files = FileSet()
    for number in (1, 2, 3):
        path = put(tmp_path / "in" / str(number), make(UID, 1, number).part10())
        dataset = dcmread(path)
        dataset.PatientID = dataset.StudyID = "1"
        dataset.SeriesNumber = dataset.InstanceNumber = number
        files.add(dataset)
    medium = tmp_path / "medium"
    files.write(medium)
    named = sorted(path for path in medium.rglob("*") if path.is_file() and path.name[0] == "I")
    put(medium / "other", make(UID, 1, 9).part10())
    if lower:
        for path in sorted(medium.rglob("*"), reverse=True):
            path.rename(path.with_name(path.name.lower()))
        named = [medium / str(path.relative_to(medium)).lower() for path in named]
        directory = medium / "dicomdir"
    else:
        directory = medium / "DICOMDIR"
    assert find_files([directory], force=False).files == named
    of_folder = find_files([medium], force=False)
    assert len(of_folder.files) == 4
    assert of_folder.others == 1
    named[1].unlink()
    found = find_files([directory], force=False)
    assert found.files == [named[0], named[2]]
    (why,) = found.lost.values()
    assert "not there" in str(why)


def test_a_dicomdir_names_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", make(UID).part10())
    for file_id in (("..", "outside"), (str(outside),), ("", "x")):
        one = DirectoryEntry(
            file_id, "1.2", "1.2.3", "1.2.840.10008.1.2", {"00080018": entry("UI", "1")}
        )
        directory = put(tmp_path / "medium" / "DICOMDIR", write_dicomdir([one]))
        found = find_files([directory], force=False)
        assert not found.files


def test_the_digest_is_of_the_data_set(tmp_path: Path) -> None:
    one = make(UID)
    path = put(tmp_path / "1", one.part10())
    digest = digest_file(path)
    assert (digest.sop_instance_uid, digest.size) == (one.sop_instance_uid, path.stat().st_size)
    assert digest.whole is None
    bare = digest_file(put(tmp_path / "2", one.data))
    assert bare.sha256 == digest.sha256
    assert bare.whole is not None
    assert EncodedInstance.from_part10(bare.whole) == one
    with pytest.raises(BrokenInstanceError):
        digest_file(put(tmp_path / "3", b"nothing at all"))
