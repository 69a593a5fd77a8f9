"""Publications as open pages are told of them: a `LiveSource` of live_updates."""

from __future__ import annotations

import trio
from attrs import frozen

from broker.pages.content import AdminContent
from broker.pages.studies.publication_views import shown_publications
from broker.pages.studies.publication_words import publication_words
from p2pacs.output.json_object import JsonObject


@frozen
class LivePublications:
    """Those that the page of transfers shows."""

    content: AdminContent

    async def prepare(self) -> None:
        """Nothing has to be read."""
        await trio.lowlevel.checkpoint()

    def look(self) -> dict[str, JsonObject]:
        """How each of them is now, and which there are."""
        told = [publication_words(one) for one in shown_publications(self.content)]
        topics: dict[str, JsonObject] = {f"transfer-{one['study']}": one for one in told}
        topics["transfers"] = {"shown": [one["study"] for one in reversed(told)]}
        return topics

    @property
    def moving(self) -> bool:
        """Whether one is under way."""
        return any(not one.over for one in self.content.studies.publications.values())
