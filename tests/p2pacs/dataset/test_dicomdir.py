import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.fileset import FileSet

from p2pacs.dataset.dicomdir import DirectoryEntry, record_type, write_dicomdir
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, entry
from p2pacs.dataset.vocabulary import HEADER_TAGS, tag
from tests.components import dcmtk
from tests.p2pacs.study import samples


def made(count: int, **other: Json) -> list[DirectoryEntry]:
    entries = []
    for number in range(1, count + 1):
        dataset = samples.dataset(number)
        told = from_dataset(dataset, HEADER_TAGS)
        told[tag("StudyInstanceUID")] = entry("UI", samples.STUDY_UID)
        entries.append(
            DirectoryEntry(
                ("DICOM", f"I{number:07}"),
                str(dataset.SOPClassUID),
                str(dataset.SOPInstanceUID),
                samples.EXPLICIT,
                told | other.get("attributes", {}),
            )
        )
    return entries


def write(folder: Path, entries: list[DirectoryEntry]) -> Path:
    """The directory with its files."""
    (folder / "DICOM").mkdir(parents=True)
    for number, one in enumerate(entries, 1):
        instance: EncodedInstance = samples.instance(number)
        folder.joinpath(*one.file_id).write_bytes(instance.part10())
    path = folder / "DICOMDIR"
    path.write_bytes(write_dicomdir(entries))
    return path


@pytest.mark.parametrize("count", [1, 7])
def test_pydicom_finds_every_file(tmp_path: Path, count: int) -> None:
    entries = made(count)
    found = FileSet(write(tmp_path, entries))
    assert len(found) == count
    assert {one.SOPInstanceUID for one in found} == {one.sop_instance_uid for one in entries}
    assert sorted(Path(one.path).name for one in found) == [one.file_id[-1] for one in entries]
    assert [one.load().SOPInstanceUID for one in found] == [one.SOPInstanceUID for one in found]
    (uid,) = found.find_values("StudyInstanceUID")
    assert uid == samples.STUDY_UID


@pytest.mark.dcmtk
def test_dcmtk_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path, made(3))
    done = dcmtk("dcmdump", str(path))
    assert done.returncode == 0
    assert done.stdout.count("IMAGE") >= 3
    assert not done.stderr


def test_names_beyond_ascii_keep_their_letters(tmp_path: Path) -> None:
    name = {tag("PatientName"): entry("PN", {"Alphabetic": "Grün^Zoë", "Ideographic": "山田"})}
    read = dcmread(write(tmp_path, made(1, attributes=name)))
    assert str(read.DirectoryRecordSequence[0].PatientName) == "Grün^Zoë=山田"


def test_two_patients_in_one_study_have_a_record_each(tmp_path: Path) -> None:
    other = {tag("PatientID"): entry("LO", "OTHER")}
    entries = [*made(1), *made(1, attributes=other)]
    read = dcmread(write(tmp_path, entries))
    kinds = [one.DirectoryRecordType for one in read.DirectoryRecordSequence]
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE"] * 2
    first, second = (read.DirectoryRecordSequence[n] for n in (0, 4))
    assert first.OffsetOfTheNextDirectoryRecord == second.seq_item_tell
    assert read.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity == second.seq_item_tell


def test_what_an_instance_does_not_tell_is_numbered_and_no_date_is_made_up() -> None:
    bare = DirectoryEntry(("A",), "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1", {})
    raw = write_dicomdir([bare])
    read = dcmread(io.BytesIO(raw))
    _, study, series, image = read.DirectoryRecordSequence
    assert (study.StudyID, series.SeriesNumber, image.InstanceNumber) == ("1", 1, 1)
    assert not study.StudyDate


def test_an_empty_directory_is_one(tmp_path: Path) -> None:
    path = tmp_path / "DICOMDIR"
    path.write_bytes(write_dicomdir([]))
    assert len(FileSet(path)) == 0


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.88.11", "SR DOCUMENT"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "KEY OBJECT DOC"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "ENCAP DOC"),
        ("1.2.840.10008.5.1.4.1.1.66", "RAW DATA"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "IMAGE"),
        ("1.2.3.4", "IMAGE"),
    ],
)
def test_each_class_has_its_kind_of_record(sop_class: str, kind: str) -> None:
    assert record_type(sop_class) == kind


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=64)


@settings(max_examples=50)
@given(st.lists(st.tuples(_TEXT, _TEXT), max_size=6))
def test_whatever_is_told_it_can_be_read(told: list[tuple[str, str]]) -> None:
    entries = [
        DirectoryEntry(
            ("DICOM", f"I{number}"),
            "1.2.840.10008.5.1.4.1.1.2",
            f"1.2.{number}",
            "1.2.840.10008.1.2.1",
            {tag("PatientID"): entry("LO", patient), tag("StudyDescription"): entry("LO", words)},
        )
        for number, (patient, words) in enumerate(told, 1)
    ]
    read = dcmread(io.BytesIO(write_dicomdir(entries)))
    images = [one for one in read.DirectoryRecordSequence if one.DirectoryRecordType == "IMAGE"]
    assert [one.ReferencedSOPInstanceUIDInFile for one in images] == [
        one.sop_instance_uid for one in _by_patient(entries)
    ]


def _by_patient(entries: list[DirectoryEntry]) -> list[DirectoryEntry]:
    order: dict[str, list[DirectoryEntry]] = {}
    for one in entries:
        values = one.attributes[tag("PatientID")].get("Value", [""])
        order.setdefault(str(values[0]).strip(" "), []).append(one)
    return [one for group in order.values() for one in group]
