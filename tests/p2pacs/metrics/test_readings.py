from enum import StrEnum

from p2pacs.metrics.readings import MetricReading, by_label


class Ended(StrEnum):
    FAILED = "failed"
    COMPLETE = "complete"


def test_each_value_of_a_label_is_a_reading() -> None:
    assert list(by_label("ended", {Ended.FAILED: 2, Ended.COMPLETE: 1})) == [
        MetricReading("ended", 1, ("complete",)),
        MetricReading("ended", 2, ("failed",)),
    ]
