"""The metadata of an instance as text, whatever host the client asked."""

from __future__ import annotations

import json
from typing import Final, Self

from attrs import field, frozen

from p2pacs.dataset.metadata import MetadataWriter
from p2pacs.dicomweb.server.backend import Resource

_LINK: Final = '"BulkDataURI":"'
"""Stands once, before the URL of the pixel data: within a value quotation marks are escaped."""


@frozen
class InstanceMetadata:
    """A JSON object (PS3.18 F.2), but for the root of the services in the URL of its pixel data."""

    before: bytes = field(repr=False)
    behind: bytes = field(repr=False)
    """Empty where it has no pixel data."""

    @classmethod
    def of(
        cls, instance: Resource, header: bytes, transfer_syntax_uid: str, writer: MetadataWriter
    ) -> Self:
        """Of an instance.

        Args:
            instance: which.
            header: its data set, at least up to the value of its pixel data.
            transfer_syntax_uid: what that is in.
            writer: has told of instances like it.

        Raises:
            BrokenInstanceError: the header cannot be read.
        """
        text = writer.text(header, transfer_syntax_uid, f"{instance.path}/bulkdata")
        before, link, behind = text.partition(_LINK)
        return cls((before + link).encode("utf-8", "replace"), behind.encode("utf-8", "replace"))

    @property
    def size(self) -> int:
        """Bytes of it in memory."""
        return len(self.before) + len(self.behind)

    def under(self, root: str) -> bytes:
        """All of it, for a client that found the services at this URL."""
        if not self.behind:
            return self.before
        return b"".join((self.before, json.dumps(root)[1:-1].encode(), self.behind))
