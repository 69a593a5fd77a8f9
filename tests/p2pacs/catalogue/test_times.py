from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.catalogue import times

D, T = "%Y%m%d", "%H%M%S.%f"


def hit(vr: str, key: str, value: str) -> bool:
    return times.overlap_test(vr, key)(value)


@pytest.mark.parametrize(
    ("vr", "key", "value", "expected"),
    [
        ("DA", "20240131", "20240131", True),
        ("DA", "20240131", "2024.01.31", True),
        ("DA", "20240131", "20240130", False),
        ("DA", "202401", "20240130", True),
        ("DA", "20240101-20240131", "20240131", True),
        ("DA", "20240101-20240131", "20240201", False),
        ("DA", "-20240131", "19700101", True),
        ("DA", "20240131-", "20240130", False),
        ("DA", "20240131-", "20991231", True),
        ("DA", "20240101 - 20240131", "20240110", True),
        ("DA", "nonsense", "20240131", False),
        ("DA", "nonsense", "nonsense", True),
        ("DA", "20240131", "", False),
        ("DA", "-", "20240131", False),
        ("TM", "1030", "103059.5", True),
        ("TM", "103000", "10:30:00", True),
        ("TM", "103000", "10", True),
        ("TM", "1030", "103100", False),
        ("TM", "08-1030", "103059", True),
        ("TM", "08-1030", "1031", False),
        ("TM", "-0800", "075959", True),
        ("TM", "2200-", "235959.999999", True),
        ("DT", "20240131", "20240131101500", True),
        ("DT", "2023-2024", "20240131101500.123456", True),
        ("DT", "20240131-", "2024", True),
        ("DT", "-20240131", "202402", False),
        ("DT", "20240131120000+0200", "20240131100000", True),
        ("DT", "20240131120000-0500", "20240131170000", True),
        ("DT", "20240131120000-0500", "20240131120000", False),
        ("DT", "20240131120000-0500-20240131130000-0500", "20240131173000", True),
        ("DT", "20240131120000+0000-20240131130000+0000", "20240131143000+0200", True),
        ("DT", "00010101+1200", "00010101", True),
    ],
)
def test_single_values_and_ranges(vr: str, key: str, value: str, expected: bool) -> None:
    assert hit(vr, key, value) is expected


days = st.dates(date(1, 1, 1), date(9999, 12, 30))


@settings(max_examples=100)
@given(days, st.one_of(st.none(), days), st.one_of(st.none(), days))
def test_date_ranges_are_those_of_the_calendar(
    value: date, low: date | None, high: date | None
) -> None:
    if low is None and high is None:
        return
    key = f"{low.isoformat().replace('-', '') if low else ''}-"
    key += high.isoformat().replace("-", "") if high else ""
    expected = (low is None or low <= value) and (high is None or value <= high)
    assert hit("DA", key, value.isoformat().replace("-", "")) is expected


@settings(max_examples=100)
@given(st.text(alphabet="0123456789-+.: ", max_size=30), st.sampled_from(sorted(times.KINDS)))
def test_no_text_breaks_it(text: str, vr: str) -> None:
    span = times.bounds(vr, text)
    assert span is None or all(isinstance(end, str) for end in span)
    hit(vr, text, text)


def test_an_offset_moves_over_the_end_of_a_month() -> None:
    day = date(2024, 3, 1)
    before = f"{day - timedelta(days=1):%Y%m%d}"
    assert hit("DT", f"{before}230000-0200", "20240301010000")


@pytest.mark.parametrize(
    ("vr", "key", "is_possible"),
    [
        ("DA", "20261340", False),
        ("DA", "20240230", False),
        ("DA", "20230229", False),
        ("DA", "20240229", True),
        ("DA", "202413", False),
        ("DA", "2024", True),
        ("DA", "1999.12.31", True),
        ("DA", "20240201-20240231", True),
        ("DA", "20240200-20240299", False),
        ("DA", "20240230-20240101", False),
        ("DA", "-20241231", True),
        ("DA", "-", False),
        ("TM", "99", False),
        ("TM", "256199", False),
        ("TM", "235960", True),
        ("TM", "10:30", True),
        ("TM", "0800-1260", False),
        ("DT", "202402301200", False),
        ("DT", "2024+0100", True),
        ("DT", "20240131+9900", False),
        ("DT", "2024013125", False),
    ],
)
def test_what_no_attribute_can_have_is_not_possible(vr: str, key: str, is_possible: bool) -> None:
    assert times.is_possible(vr, key) is is_possible


@pytest.mark.parametrize(
    ("date_key", "time_key", "day", "clock", "expected"),
    [
        # The example of PS3.4 C.2.2.2.5.
        ("20060705-20060707", "1000-1800", "20060705", "0959", False),
        ("20060705-20060707", "1000-1800", "20060705", "1000", True),
        ("20060705-20060707", "1000-1800", "20060706", "0300", True),
        ("20060705-20060707", "1000-1800", "20060707", "1800", True),
        ("20060705-20060707", "1000-1800", "20060707", "1801", False),
        ("20060705-20060706", "2200-0600", "20060706", "0100", True),
        ("20060705-20060706", "2200-0600", "20060706", "1200", False),
        ("20060705-", "1000-", "20060705", "0900", False),
        ("20060705-", "1000-", "20991231", "0000", True),
        ("-20060705", "-1000", "20060705", "1001", False),
        ("-20060705", "-1000", "19991231", "2359", True),
        ("20060705-20060707", "1000-1800", "20060705", "", True),
        ("20060705-20060707", "1000-1800", "20060708", "", False),
        ("20060705-20060707", "1000-1800", "", "1200", False),
    ],
)
def test_a_range_of_dates_and_times_is_one(
    date_key: str, time_key: str, day: str, clock: str, expected: bool
) -> None:
    test = times.combined_test(date_key, time_key)
    assert test is not None
    assert test(day, clock) is expected


@pytest.mark.parametrize(
    ("date_key", "time_key"),
    [
        ("20060705", "1000-1800"),
        ("20060705-20060707", "10"),
        ("20060705-", "-1000"),
        ("a-b", "1-2"),
    ],
)
def test_ranges_of_other_forms_are_matched_each_alone(date_key: str, time_key: str) -> None:
    assert times.combined_test(date_key, time_key) is None


moments = st.datetimes(datetime(1000, 1, 1))  # noqa: DTZ001 - of no zone, as in DICOM


@given(moments, moments, moments)
def test_one_range_is_that_of_the_calendar(
    first: datetime, last: datetime, moment: datetime
) -> None:
    test = times.combined_test(f"{first:{D}}-{last:{D}}", f"{first:{T}}-{last:{T}}")
    assert test is not None
    assert test(f"{moment:{D}}", f"{moment:{T}}") is (first <= moment <= last)
