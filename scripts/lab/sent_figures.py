"""What `scripts/bench send` prints: when who had the study, and what left the line for it."""

from __future__ import annotations

from typing import Final

from attrs import define, frozen

from p2pacs.output.json_object import JsonObject
from scripts.lab.download import Delivery
from scripts.loaded import LoadedStudy
from scripts.program import ScriptError

LINE_GOAL: Final = 1.06
"""Seconds until both have all, over those that the coded bytes take on the line."""

WIRE_GOAL: Final = 1.08
"""Bytes that leave the uplink, over the coded ones, though two get the study."""

STORE_GOAL: Final = 4.5
"""Times as fast as storescu over the same line."""

PREVIEW_GOAL: Final = 2.0
"""Seconds from the first instance until the reader can look at something."""

AGAIN_GOAL: Final = 256 * 1024
"""Bytes of chunks sent again, or to a second one: after the line was cut and the peer killed,
too."""


@define
class SendTimes:
    """Unix times of one study's way."""

    begin: float
    """The scanner begins."""
    first_instance: float | None = None
    """The peer has it on its disk."""
    stored: float | None = None
    """The scanner has sent all."""
    listed: float | None = None
    """The reader's catalogue has it."""
    first_preview: float | None = None
    """The reader can look at an image."""
    at_pacs: float | None = None
    """The PACS has every instance."""
    at_reader: float | None = None
    """The reader has every chunk, and knows that it is all."""

    @property
    def end(self) -> float:
        """Both have all.

        Raises:
            ScriptError: somebody has not.
        """
        if self.at_pacs is None or self.at_reader is None:
            raise ScriptError("the study did not come to both")
        return max(self.at_pacs, self.at_reader)

    def figures(self) -> JsonObject:
        """Seconds since the scanner began."""
        names = ("first_instance", "stored", "listed", "first_preview", "at_pacs", "at_reader")
        said = {name: getattr(self, name) for name in names}
        return {
            f"{name}_seconds": None if when is None else round(when - self.begin, 2)
            for name, when in said.items()
        }


@frozen
class SendOutcome:
    """What ours did."""

    times: SendTimes
    coded_bytes: int
    wire_bytes: int
    """That left the sender's uplink, IP headers and acknowledgements included."""
    sent: dict[str, int]
    """Bytes of chunks by who was sent them."""
    exact: bool
    """Every data set came to both with the SHA-256 that it was sent with."""

    def figures(self, study: LoadedStudy, uplink: int, theirs: Delivery | None) -> JsonObject:
        """As printed."""
        times = self.times
        seconds = times.end - times.begin
        over_line = seconds * uplink / 8 / self.coded_bytes
        over_coded = self.wire_bytes / self.coded_bytes
        preview = (times.first_preview or times.end) - (times.first_instance or times.begin)
        printed: JsonObject = {
            "instances": len(study.paths),
            "bytes": study.size,
            "coded_bytes": self.coded_bytes,
            "exact": self.exact,
            **times.figures(),
            "both_seconds": round(seconds, 2),
            "seconds_over_line": round(over_line, 4),
            "seconds_over_line_goal": LINE_GOAL,
            "wire_bytes": self.wire_bytes,
            "wire_over_coded": round(over_coded, 4),
            "wire_over_coded_goal": WIRE_GOAL,
            "chunk_bytes_sent": self.sent,
            "again_bytes": max(0, sum(self.sent.values()) - self.coded_bytes),
            "again_goal": AGAIN_GOAL,
            "chunks_over_coded": round(sum(self.sent.values()) / self.coded_bytes, 4),
            "preview_seconds": round(preview, 2),
            "preview_goal": PREVIEW_GOAL,
        }
        passed = self.exact and over_line <= LINE_GOAL and over_coded <= WIRE_GOAL
        again = printed["again_bytes"]
        passed = passed and preview <= PREVIEW_GOAL and again <= AGAIN_GOAL
        if theirs is not None:
            ratio = theirs.seconds / seconds
            passed = passed and ratio >= STORE_GOAL
            printed |= {
                "storescu_seconds": round(theirs.seconds, 2),
                "storescu_wire_bytes": theirs.wire_bytes,
                "ratio": round(ratio, 2),
                "ratio_goal": STORE_GOAL,
            }
        return printed | {"passed": passed}
