"""Descriptions of studies for tests."""

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.publish.source import Description


def described(**series: int) -> Description:
    """``described(a=2)``: a series ``1.a`` of the instances ``1.a.0`` and ``1.a.1``."""
    return Description(
        "1",
        {tag("StudyInstanceUID"): entry("UI", "1")},
        tuple(
            SeriesRecord(
                f"1.{name}",
                {tag("SeriesInstanceUID"): entry("UI", f"1.{name}")},
                tuple({tag("SOPInstanceUID"): entry("UI", f"1.{name}.{n}")} for n in range(count)),
            )
            for name, count in series.items()
        ),
    )
