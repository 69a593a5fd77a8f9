import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from p2pacs.catalogue.records import assemble
from p2pacs.dataset.json_model import text
from p2pacs.dataset.vocabulary import SERIES_TAGS
from p2pacs.ids import StudyId

from .samples import attributes


def sample() -> Dataset:
    dataset = Dataset()
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset.PatientID = "77 "
    dataset.InstanceNumber = "5"
    dataset.PixelSpacing = ["0.50", "0.50"]
    dataset.Rows = 512
    dataset.StudyDescription = None
    dataset.ConceptNameCodeSequence = Sequence([Dataset()])
    dataset.ConceptNameCodeSequence[0].CodeValue = "121"
    dataset.PixelData = b"\0\0"
    return dataset


def test_instances_assemble_into_series_and_study() -> None:
    def instance(series: str, sop: str) -> dict[str, dict[str, object]]:
        return attributes(
            StudyInstanceUID=("UI", "1.2"),
            PatientID=("LO", "P"),
            SeriesInstanceUID=("UI", series),
            Modality=("CS", "MR"),
            SOPInstanceUID=("UI", sop),
        )

    study = StudyId(bytes(16))
    record = assemble(study, [instance("1", "1.1"), instance("2", "2.1"), instance("1", "1.2")])
    assert record.uid == "1.2"
    assert text(record.attributes, "PatientID") == "P"
    assert [(s.uid, len(s.instances)) for s in record.series] == [("1", 2), ("2", 1)]
    assert set(record.series[0].attributes) <= SERIES_TAGS
    assert text(record.series[0].instances[1], "SOPInstanceUID") == "1.2"
    with pytest.raises(ValueError, match="at least one"):
        assemble(study, [])


def test_a_record_prints_no_patient_data() -> None:
    record = assemble(
        StudyId(bytes(16)), [attributes(StudyInstanceUID=("UI", "1.9"), PatientID=("LO", "P77"))]
    )
    assert "1.9" not in repr(record)
    assert "P77" not in repr(record)
