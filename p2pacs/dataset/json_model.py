"""The DICOM JSON model (PS3.18 F): attributes by level, and what is read out of data sets.

Attributes are kept by level, so that an answer at one level never shows what
belongs to another. Numbers that DICOM writes as text (IS, DS) stay text: what
the PACS said is what a workstation reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

Json = dict[str, dict[str, Any]]
"""Tag (eight hexadecimal digits, upper case) → ``{"vr": …, "Value": […]}``."""


@cache
def tag(keyword: str) -> str:
    """The tag of a DICOM keyword as the JSON model writes it: ``PatientID`` → ``00100020``."""
    number = tag_for_keyword(keyword)
    if number is None:
        raise ValueError(f"not a DICOM keyword: {keyword}")
    return f"{number:08X}"


def _tags(keywords: str) -> frozenset[str]:
    return frozenset(tag(keyword) for keyword in keywords.split())


PATIENT_TAGS: Final = _tags(
    "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientBirthTime PatientSex "
    "OtherPatientIDs EthnicGroup PatientComments NumberOfPatientRelatedStudies "
    "NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances"
)
STUDY_TAGS: Final = _tags(
    "StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID ReferringPhysicianName "
    "StudyDescription PatientAge PatientSize PatientWeight NameOfPhysiciansReadingStudy "
    "AdmittingDiagnosesDescription Occupation AdditionalPatientHistory InstitutionName "
    "TimezoneOffsetFromUTC ModalitiesInStudy SOPClassesInStudy NumberOfStudyRelatedSeries "
    "NumberOfStudyRelatedInstances"
)
SERIES_TAGS: Final = _tags(
    "SeriesInstanceUID Modality SeriesNumber SeriesDescription SeriesDate SeriesTime "
    "BodyPartExamined ProtocolName Laterality PatientPosition OperatorsName "
    "PerformingPhysicianName Manufacturer ManufacturerModelName StationName InstitutionName "
    "InstitutionalDepartmentName PerformedProcedureStepStartDate "
    "PerformedProcedureStepStartTime PerformedProcedureStepID "
    "PerformedProcedureStepDescription RequestAttributesSequence "
    "NumberOfSeriesRelatedInstances"
)
INSTANCE_TAGS: Final = _tags(
    "SOPInstanceUID SOPClassUID InstanceNumber Rows Columns BitsAllocated NumberOfFrames "
    "PhotometricInterpretation ImageType ContentDate ContentTime AcquisitionDate "
    "AcquisitionTime AcquisitionDateTime AcquisitionNumber SliceLocation SliceThickness "
    "ImagePositionPatient ImageOrientationPatient PixelSpacing ImageComments "
    "ConceptNameCodeSequence AvailableTransferSyntaxUID"
)
_UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What pydicom raises on values that it cannot convert."""

STUDY_LEVEL_TAGS: Final = PATIENT_TAGS | STUDY_TAGS
"""What a study answers with, at study level."""


def texts(attributes: Json, name: str) -> list[str]:
    """The values of an attribute (by tag or keyword) as text, without padding.

    Person names come as ``alphabetic=ideographic=phonetic``; sequences give nothing.
    """
    key = name if name in attributes else tag(name) if not name[0].isdigit() else name
    entry = attributes.get(key)
    if entry is None or entry.get("vr") == "SQ":
        return []
    values = (_text(value) for value in entry.get("Value", ()))
    return [value for value in values if value]


def text(attributes: Json, name: str) -> str:
    """The first value of an attribute as text; empty if there is none."""
    values = texts(attributes, name)
    return values[0] if values else ""


def number(attributes: Json, name: str) -> int | None:
    """The first value of an attribute as a whole number, if it is one."""
    try:
        return int(text(attributes, name))
    except ValueError:
        return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        groups = (str(value.get(g, "")) for g in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    return str(value).strip(" \0")


def entry(vr: str, *values: Any) -> dict[str, Any]:
    """One attribute of the JSON model; without values if all are empty."""
    kept = [value for value in values if value not in (None, "")]
    return {"vr": vr, "Value": list(values)} if kept else {"vr": vr}


def from_dataset(dataset: Dataset, tags: Iterable[str]) -> Json:
    """The attributes of a data set that are among ``tags``.

    Binary ones, and ones whose bytes are no value of their VR, are left out.
    """
    attributes: Json = {}
    for key in tags:
        try:
            found = read_element(dataset, key)
        except ValueError:
            continue
        if found is not None:
            attributes[key] = found
    return attributes


def read_element(dataset: Dataset, key: str) -> dict[str, Any] | None:
    """One attribute of a data set, or None if it is absent or binary.

    Raises:
        ValueError: its bytes are no value of its VR.
    """
    try:
        return _entry_of(dataset.get(int(key, 16)))
    except _UNREADABLE as error:
        raise ValueError(f"({key[:4]},{key[4:]}) is no value of its VR") from error


def _entry_of(element: DataElement | None) -> dict[str, Any] | None:
    if element is None or element.VR[0] == "O" or element.VR == "UN":
        return None
    vr = element.VR[:2]  # "US or SS": pydicom could not tell which
    values = element.value
    many = isinstance(values, MultiValue | list) or vr == "SQ"
    items: Sequence[Any] = values if many else [] if values is None else [values]
    return entry(vr, *(_json_value(item, vr) for item in items))


def _json_value(value: Any, vr: str) -> Any:
    if isinstance(value, Dataset):
        return from_dataset(value, [f"{int(key):08X}" for key in sorted(value.keys())])
    if vr == "PN":
        return _name_groups(value if isinstance(value, PersonName) else PersonName(str(value)))
    if vr == "AT":
        return f"{int(value):08X}"
    if isinstance(value, int | float) and vr not in ("IS", "DS"):
        return value
    return str(value).strip(" \0")


def _name_groups(name: PersonName) -> dict[str, str] | None:
    groups = {
        "Alphabetic": name.alphabetic,
        "Ideographic": name.ideographic,
        "Phonetic": name.phonetic,
    }
    return {group: value for group, value in groups.items() if value} or None


def of_level(attributes: Json, tags: Iterable[str]) -> Json:
    """The attributes that are among ``tags``."""
    return {key: attributes[key] for key in tags if key in attributes}
