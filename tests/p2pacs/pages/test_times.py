from p2pacs.pages.times import minute, utc


def test_times_are_told_to_the_minute_in_utc() -> None:
    assert minute(1_764_505_799_999) == "2025-11-30 12:29"
    assert utc(0) == "1970-01-01 00:00 UTC"
    assert minute(None) == utc(None) == "never"
