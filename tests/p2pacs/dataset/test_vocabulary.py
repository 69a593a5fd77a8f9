import pytest

from p2pacs.dataset.vocabulary import (
    HEADER_TAGS,
    INSTANCE_TAGS,
    NUMBER_FORMATS,
    SERIES_TAGS,
    STUDY_LEVEL_TAGS,
    TEXT_VRS,
    tag,
    vr_of,
)


def test_an_unknown_keyword_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="NoSuchKeyword"):
        tag("NoSuchKeyword")


def test_vrs_of_the_data_dictionary() -> None:
    assert vr_of(tag("PatientName")) == "PN"
    assert vr_of(tag("SmallestImagePixelValue")) == "US"
    assert vr_of("00091001") is None


def test_every_attribute_of_the_vocabulary_can_be_searched() -> None:
    levels = STUDY_LEVEL_TAGS | SERIES_TAGS | INSTANCE_TAGS
    assert levels >= HEADER_TAGS
    assert all(vr_of(key) in {*TEXT_VRS, *NUMBER_FORMATS, "SQ"} for key in levels)
    assert STUDY_LEVEL_TAGS.isdisjoint(INSTANCE_TAGS)
    assert SERIES_TAGS.isdisjoint(INSTANCE_TAGS)
    assert {tag("InstitutionName")} == STUDY_LEVEL_TAGS & SERIES_TAGS
