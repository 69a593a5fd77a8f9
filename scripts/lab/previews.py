"""When a study that is being fetched can first be looked at, as its peer's local API tells."""

from __future__ import annotations

import time
from contextlib import aclosing
from pathlib import Path
from typing import Final

from attrs import define

from p2pacs.output.json_object import JsonObject
from peer.api.client import PeerClient
from scripts.program import ScriptError

FIRST_SECONDS: Final = 2.0
"""From the request until the first image can be shown, at most."""

PART: Final = 0.05
"""Of the time that the whole study takes, until every image can be shown."""

IMAGES: Final = 300
"""Both are asked of studies of so many images: a small one is over before a few round trips are
a twentieth of it."""


@define
class Previews:
    """Unix times of one transfer."""

    asked: float = 0.0
    first: float | None = None
    """The first image can be shown, at whatever size."""
    all: float | None = None
    """Every image can be."""
    whole: float | None = None
    """All is here."""

    def hear(self, line: JsonObject, now: float) -> None:
        """Takes in a line of `PeerClient.levels`."""
        if self.first is None and line.get("level") is not None:
            self.first = now
        if "previews" in line or "complete" in line:
            self.all = self.all or now
        if "complete" in line:
            self.whole = now

    def figures(self, images: int) -> JsonObject:
        """As printed: seconds since the request.

        Args:
            images: instances of the study.

        Raises:
            ScriptError: the study did not become whole.
        """
        if self.first is None or self.all is None or self.whole is None:
            raise ScriptError("the peer did not tell of all previews")
        first, everything = self.first - self.asked, self.all - self.asked
        part = everything / (self.whole - self.asked)
        return {
            "first_seconds": round(first, 2),
            "first_goal": FIRST_SECONDS if images >= IMAGES else None,
            "all_seconds": round(everything, 2),
            "whole_seconds": round(self.whole - self.asked, 2),
            "all_over_whole": round(part, 4),
            "all_over_whole_goal": PART if images >= IMAGES else None,
            "passed": images < IMAGES or (first <= FIRST_SECONDS and part <= PART),
        }


async def watch(folder: Path, previews: Previews) -> None:
    """Follows the first transfer that a peer begins, until all of it is here.

    Args:
        folder: the peer's.
        previews: gets the times.
    """
    async with PeerClient.connect(folder) as api:
        study = None
        async with api.events() as lines, aclosing(lines):
            async for line in lines:
                if line["transfers"]:
                    study = line["transfers"][0]["study"]
                    break
        if study is None:
            raise ScriptError("the peer stopped before it fetched")
        transfer = (await api.status())["transfers"][0]
        previews.asked = time.time() - transfer["seconds"]
        async with api.levels(study) as lines, aclosing(lines):
            async for line in lines:
                previews.hear(line, time.time())
                if previews.whole is not None:
                    return
