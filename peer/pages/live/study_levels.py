"""How much of each image of a study can be shown, for a page that shows it as it comes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from p2pacs.languages import _
from p2pacs.output.json_object import JsonObject
from peer.retrieval.instances.levels import ChunksHere, Levels
from peer.retrieval.instances.live_index import Known

NOTHING: Final = "0"
PREVIEW: Final = "1"
WHOLE: Final = "9"

SHOWN: Final = 4000
"""Images that are told one by one; of more, only the counts."""


class StudyLevels:
    """The images of one study, as far as they were looked at: each look costs what is new."""

    def __init__(self) -> None:
        self._levels = Levels()
        self._digits: list[str] = []
        self._series: Counter[int] = Counter()
        self._here: Counter[int] = Counter()

    def look(self, known: Sequence[Known], have: ChunksHere) -> None:
        """Take in what is new.

        Args:
            known: the instances known by now; number n is at n - 1.
            have: the chunks that are here.
        """
        for news in self._levels.news(known, have):
            place, series = news.known.number - 1, news.known.series
            if place >= len(self._digits):
                self._digits += NOTHING * (place + 1 - len(self._digits))
                self._series[series] += 1
            before = self._digits[place]
            self._digits[place] = digit = _digit(news.level)
            self._here[series] += (digit == WHOLE) - (before == WHOLE)

    def told(self) -> JsonObject:
        """For the page."""
        return {
            "known": len(self._digits),
            "here": sum(self._here.values()),
            "levels": "".join(self._digits) if len(self._digits) <= SHOWN else "",
            "series": {
                str(series): _(
                    "%(here)s of %(all)s images here", here=self._here[series], all=count
                )
                for series, count in sorted(self._series.items())
            },
        }


def _digit(level: int | None) -> str:
    if level is None:
        return NOTHING
    return PREVIEW if level else WHOLE
