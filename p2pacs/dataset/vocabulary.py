"""The attributes that this network searches in and answers with, by level of the Query/Retrieve
information model (PS3.4 C.6).

One vocabulary for all: what the broker asks the PACS, what is read out of headers into the index
of a study, what the catalogue keeps, what a C-FIND may match and get.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final, Literal

from pydicom.datadict import dictionary_VR, tag_for_keyword

QueryRoot = Literal["PATIENT", "STUDY"]
"""Information model of a query or retrieval: Patient Root or Study Root (PS3.4 C.3)."""

TEXT_VRS: Final = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI"}
    | {"UR", "UT"}
)
"""VRs whose values are text (PS3.5 6.2)."""

NUMBER_FORMATS: Final = {
    "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q",
}  # fmt: skip
"""VRs whose values are binary numbers, with their formats in `struct`."""


VERSION: Final = 1
"""Of the vocabulary: with a higher one the broker asks the PACS for all studies again."""


@cache
def tag(keyword: str) -> str:
    """The tag of a DICOM keyword as the JSON model writes it: ``PatientID`` → ``00100020``."""
    number = tag_for_keyword(keyword)
    if number is None:
        raise ValueError(f"not a DICOM keyword: {keyword}")
    return f"{number:08X}"


@lru_cache(maxsize=4096)
def vr_of(key: str) -> str | None:
    """The VR of a tag in PS3.6; None for private and unknown ones. Of "US or SS" the first."""
    try:
        return dictionary_VR(int(key, 16))[:2]
    except KeyError:
        return None


def _tags(keywords: str) -> frozenset[str]:
    return frozenset(tag(keyword) for keyword in keywords.split())


PATIENT_COUNTS: Final = _tags(
    "NumberOfPatientRelatedStudies NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances"
)
STUDY_COUNTS: Final = _tags("NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances")
"""Counted where the series are known, else as the PACS says."""

PATIENT_TAGS: Final = PATIENT_COUNTS | _tags(
    "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientBirthTime PatientSex "
    "OtherPatientIDs EthnicGroup PatientComments"
)
STUDY_TAGS: Final = STUDY_COUNTS | _tags(
    "StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID ReferringPhysicianName "
    "StudyDescription PatientAge PatientSize PatientWeight NameOfPhysiciansReadingStudy "
    "AdmittingDiagnosesDescription Occupation AdditionalPatientHistory InstitutionName "
    "TimezoneOffsetFromUTC ModalitiesInStudy SOPClassesInStudy"
)
SERIES_TAGS: Final = _tags(
    "SeriesInstanceUID Modality SeriesNumber SeriesDescription SeriesDate SeriesTime "
    "BodyPartExamined ProtocolName Laterality PatientPosition OperatorsName "
    "PerformingPhysicianName Manufacturer ManufacturerModelName StationName InstitutionName "
    "InstitutionalDepartmentName PerformedProcedureStepStartDate "
    "PerformedProcedureStepStartTime PerformedProcedureStepID "
    "PerformedProcedureStepDescription RequestAttributesSequence FrameOfReferenceUID "
    "NumberOfSeriesRelatedInstances"
)
INSTANCE_TAGS: Final = _tags(
    "SOPInstanceUID SOPClassUID InstanceNumber Rows Columns SamplesPerPixel BitsAllocated "
    "BitsStored PixelRepresentation NumberOfFrames PhotometricInterpretation ImageType "
    "ContentDate ContentTime AcquisitionDate AcquisitionTime AcquisitionDateTime "
    "AcquisitionNumber SliceLocation SliceThickness ImagePositionPatient "
    "ImageOrientationPatient PixelSpacing ImageComments ConceptNameCodeSequence "
    "AvailableTransferSyntaxUID"
)

REQUIRED_TAGS: Final = _tags(
    "PatientName PatientID StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID "
    "SeriesInstanceUID Modality SeriesNumber SOPInstanceUID InstanceNumber"
)
"""Unique and required keys (PS3.4 C.6.1.1, C.6.2.1): matched always, also where none has one."""

DATES_WITH_TIMES: Final = {
    tag(f"{event}Date"): tag(f"{event}Time")
    for event in (
        *("PatientBirth", "Study", "Series", "Content", "Acquisition"),
        *("PerformedProcedureStepStart", "ScheduledProcedureStepStart"),
    )
}
"""Dates, and the times that belong to them."""

CONTROL_TAGS: Final = _tags(
    "SpecificCharacterSet QueryRetrieveLevel RetrieveAETitle InstanceAvailability "
    "QueryRetrieveView TimezoneOffsetFromUTC StorageMediaFileSetID StorageMediaFileSetUID"
)
"""What an identifier may hold besides keys (PS3.4 C.4.1.1.3); a time zone says how to read it."""

STUDY_LEVEL_TAGS: Final = PATIENT_TAGS | STUDY_TAGS
"""What a study answers with, at study level."""

HEADER_TAGS: Final = (STUDY_LEVEL_TAGS | SERIES_TAGS | INSTANCE_TAGS) - (
    PATIENT_COUNTS
    | STUDY_COUNTS
    | _tags(
        "NumberOfSeriesRelatedInstances ModalitiesInStudy SOPClassesInStudy "
        "AvailableTransferSyntaxUID"
    )
)
"""What stands in an instance itself; the others are counted or known of the whole."""
