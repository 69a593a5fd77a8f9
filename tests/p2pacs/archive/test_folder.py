import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from p2pacs.archive.folder import ArchiveFolder, attributes_of, read
from p2pacs.catalogue.question import Selection
from p2pacs.dataset.incoming import InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.dimse.backend import MissingInstances
from p2pacs.errors import BrokenInstanceError, CorruptStoreError, DiskFullError, LocalError
from p2pacs.limits import MIB
from tests.p2pacs.dimse.samples import (
    CT,
    EXPLICIT,
    IMPLICIT,
    MR,
    identifier,
    instance,
    series,
)
from tests.p2pacs.study import samples as study


def select(
    folder: ArchiveFolder, level: str, **keys: str
) -> list[EncodedInstance | LargeInstance | MissingInstances]:
    return list(read(folder.select(Selection.parse(identifier(level, **keys), "STUDY"))))


def test_it_comes_back_after_a_restart(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    kept = [*series(3), instance(1, study=2)]
    for one in kept:
        folder.put(one)
    (tmp_path / "foreign.dcm").write_bytes(b"not DICOM")
    again = ArchiveFolder(tmp_path)
    assert len(again) == 4
    assert select(again, "STUDY", StudyInstanceUID="1.2.3.1") == kept[:3]
    assert sorted(record.uid for record in again.records()) == ["1.2.3.1", "1.2.3.2"]
    assert not any("1.2.3" in path.name for path in tmp_path.iterdir())


def test_selection_at_every_level(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    kept = [*series(2), instance(1, series=2), instance(1, study=2)]
    for one in kept:
        folder.put(one)
    uids = {"StudyInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.1.1"}
    assert select(folder, "SERIES", **uids) == kept[:2]
    assert select(folder, "IMAGE", **uids, SOPInstanceUID="1.2.3.1.1.2") == [kept[1]]
    patient = Selection.parse(identifier("PATIENT", PatientID="P2"), "PATIENT")
    assert list(read(folder.select(patient))) == [kept[3]]


def test_an_instance_stored_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    folder.put(instance(1, size=10))
    folder.put(instance(1, size=20))
    assert select(folder, "STUDY", StudyInstanceUID="1.2.3.1") == [instance(1, size=20)]
    moved = instance(1, study=2)
    folder.put(EncodedInstance(CT, instance(1).sop_instance_uid, EXPLICIT, moved.data))
    assert [record.uid for record in folder.records()] == ["1.2.3.2"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00",
        instance().data[:40],
        bytes.fromhex("0800 0511 ffffffff feff00e0 10000000 6162"),
        bytes.fromhex("0800 1800 5549 0400") + b"1.2\0",
    ],
    ids=["empty", "cut in a tag", "cut before the study", "broken sequence", "only one UID"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_found_again_is_refused(data: bytes, tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    with pytest.raises(BrokenInstanceError):
        folder.put(EncodedInstance(CT, "1.2.3", IMPLICIT, data))
    assert len(folder) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ArchiveFolder(tmp_path)
    folder.put(instance(1))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("p2pacs.archive.instance_file.os.fsync", full)
    with pytest.raises(DiskFullError, match="make room"):
        folder.put(instance(2))
    assert len(list(tmp_path.iterdir())) == len(folder) == 1

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("p2pacs.archive.instance_file.os.fsync", broken)
    with pytest.raises(LocalError, match="Input/output error"):
        folder.put(instance(2))


def test_a_file_that_is_gone_or_broken_keeps_none_back(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    for number in (1, 2, 3):
        folder.put(instance(number))
    held = folder.select(Selection.parse(identifier(StudyInstanceUID="1.2.3.1"), "STUDY"))
    held[0].path.unlink()
    held[1].path.write_bytes(b"rotten")
    gone, broken, whole = read(held)
    assert gone == MissingInstances("the file of an instance cannot be read", ("1.2.3.1.1.1",))
    assert broken == MissingInstances("the file of an instance is broken", ("1.2.3.1.1.2",))
    assert whole == instance(3)


def test_a_large_one_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    sent = study.instance(1, NumberOfFrames=4096, PixelData=bytes(WHOLE_BYTES + MIB))
    folder = ArchiveFolder(tmp_path)
    tracemalloc.start()
    try:
        with closing(folder.incoming(InstanceUids.of(sent))) as coming:
            for at in range(0, len(sent.data), 1 << 16):
                coming.write(sent.data[at : at + (1 << 16)])
            coming.keep()
        for again in (folder, ArchiveFolder(tmp_path)):
            (held,) = select(again, "STUDY", StudyInstanceUID=study.STUDY_UID)
            assert isinstance(held, LargeInstance)
            assert held.size == len(sent.data)
            for at in range(0, held.size, 70_000):
                end = min(at + 70_000, held.size)
                assert held.read(at, end) == sent.data[at:end]
        assert tracemalloc.get_traced_memory()[1] < WHOLE_BYTES // 2
    finally:
        tracemalloc.stop()
    with held_file(tmp_path).open("r+b") as file:
        file.truncate(WHOLE_BYTES)
    held.read(0, 9)
    with pytest.raises(CorruptStoreError):
        held.read(held.size - 9, held.size)


def held_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_nothing_stays_of_what_did_not_come(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    with closing(folder.incoming(InstanceUids.of(instance(1)))) as coming:
        coming.write(instance(1).data[:99])
    assert list(tmp_path.iterdir()) == []
    assert len(folder) == 0


def test_uids_of_the_command_count_not_those_inside() -> None:
    attributes = attributes_of(EncodedInstance(MR, "9.9", EXPLICIT, instance().data))
    assert attributes["00080018"]["Value"] == ["9.9"]
    assert attributes["00080016"]["Value"] == [MR]
