"""How fast the catalogue is searched: ``python -m scripts.search_rate [RECORDS]``.

Makes an index of studies with ordinary attributes, three series each, and prints for each query
how many answers came and the best processor time of five runs. Compare versions on one machine.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import frozen
from pydicom.dataset import Dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import Json, entry
from p2pacs.dataset.vocabulary import tag, vr_of
from p2pacs.ids import StudyId

RECORDS: Final = 20_000
RUNS: Final = 5

SHOWN: Final = (
    *("PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber"),
    *("StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances"),
)
"""What a workstation asks for."""

QUERIES: Final[Mapping[str, Mapping[str, str]]] = {
    "patient id": {"PatientID": "PID005000"},
    "date with modality": {"StudyDate": "20200101-20200331", "ModalitiesInStudy": "CT"},
    "wild-card name": {"PatientName": "miller1*"},
    "wild card at the front": {"PatientName": "*er12*"},
    "body part, no index": {"BodyPartExamined": "HEAD"},
    "birth date": {"PatientBirthDate": "19600713"},
    "description": {"StudyDescription": "*routine 17*"},
    "referring physician": {"ReferringPhysicianName": "doe17*"},
}

_NAMES: Final = ("Miller", "Smith", "Jones", "Meyer", "Novak")
_MODALITIES: Final = ("CT", "MR", "US", "CR", "PT")


@frozen
class Timed:
    """One query."""

    answers: int
    seconds: float
    """The best of `RUNS`."""


def record(number: int) -> StudyRecord:
    """A study; the same for the same number."""
    uid, modality = f"1.2.826.0.1.3680043.{number}", _MODALITIES[number % 5]
    date = f"{2015 + number % 10}{1 + number % 12:02}{1 + number % 28:02}"
    attributes = _attributes(
        StudyInstanceUID=uid,
        PatientName=f"{_NAMES[number % 5]}{number % 977}^Anna{number % 53}",
        PatientID=f"PID{number // 2:06}",
        PatientBirthDate=f"{1930 + number // 2 % 80}0713",
        PatientSex="F",
        StudyDate=date,
        StudyTime="101500",
        AccessionNumber=f"A{number:07}",
        StudyID=str(number),
        StudyDescription=f"Thorax routine {number % 331}",
        ReferringPhysicianName=f"Doe{number % 509}^John",
        InstitutionName="North Hospital",
        ModalitiesInStudy=modality,
    )
    series = tuple(
        SeriesRecord(
            f"{uid}.{place}",
            _attributes(
                SeriesInstanceUID=f"{uid}.{place}",
                Modality=modality,
                SeriesNumber=str(place),
                SeriesDescription="axial 5 mm",
                SeriesDate=date,
                BodyPartExamined="CHEST" if number % 7 else "HEAD",
                ProtocolName="Chest",
                Manufacturer="ACME",
                StationName="CT1",
                NumberOfSeriesRelatedInstances="100",
            ),
        )
        for place in range(3)
    )
    return StudyRecord(StudyId(number.to_bytes(16, "big")), uid, attributes, series)


def _attributes(**values: str) -> Json:
    held: Json = {}
    for keyword, value in values.items():
        vr = vr_of(tag(keyword)) or "LO"
        held[tag(keyword)] = entry(vr, {"Alphabetic": value} if vr == "PN" else value)
    return held


def measure(folder: Path, records: int) -> dict[str, Timed]:
    """Fill an index in this folder and search in it."""
    index = CatalogueIndex(folder / "catalogue.db")
    try:
        for at in range(0, records, 500):
            index.upsert(record(number) for number in range(at, min(at + 500, records)))
        return {name: _timed(index, keys) for name, keys in QUERIES.items()}
    finally:
        index.close()


def _timed(index: CatalogueIndex, keys: Mapping[str, str]) -> Timed:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    for keyword, value in {**dict.fromkeys(SHOWN, ""), **keys}.items():
        setattr(identifier, keyword, value)
    best, count = float("inf"), 0
    for _ in range(RUNS):
        begin = time.process_time()
        found = find(index.candidates(identifier), identifier, "STUDY", index.known)
        count = sum(1 for _ in found)
        best = min(best, time.process_time() - begin)
    return Timed(count, best)


def main() -> None:
    """Print a table."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    with tempfile.TemporaryDirectory() as folder:
        for name, timed in measure(Path(folder), records).items():
            print(f"{name:24} {timed.answers:6} answers {1000 * timed.seconds:9.2f} ms")


if __name__ == "__main__":
    main()
