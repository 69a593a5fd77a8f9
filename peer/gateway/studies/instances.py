"""The instances of a study for image level queries: out of its own index where it is held, else
as the PACS says (through the broker)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from p2pacs.catalogue.listing import Listing, decode_listing
from p2pacs.catalogue.records import StudyRecord, series_of
from p2pacs.dataset.elements import CHARACTER_SET
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import INSTANCE_TAGS, tag
from p2pacs.errors import BusyError, ProtocolError, UnavailableError
from p2pacs.study.study_index import InstanceEntry
from p2pacs.swarm.host import Host
from p2pacs.wire.messages.messages import Instances, InstancesQuery
from peer.gateway.studies.listed import ListedInstances
from peer.retrieval.reader import StudyReads

ANSWER: Final = 30.0
"""Seconds for the broker, which asks the PACS."""

_ADDED_SINCE: Final = frozenset(
    {
        tag("PixelSpacing"),
        tag("ImageComments"),
        tag("AcquisitionDateTime"),
        tag("ConceptNameCodeSequence"),
    }
)
"""What indexes of version 0.1 do not tell of an instance, whether it has it or not."""


Describe = Callable[[StudyRecord], Awaitable[Listing]]
"""Gives the attributes of a study's instances, with those of their series."""


class InstanceDescriber:
    """Gives the attributes of a study's instances, with those of their series, and remembers which
    instances it has."""

    def __init__(
        self, host: Host, reads: StudyReads, listed: ListedInstances | None = None
    ) -> None:
        """Nothing is asked yet.

        Args:
            host: asks the broker.
            reads: studies that are here.
            listed: remembers which study an instance is in.
        """
        self._host = host
        self._reads = reads
        self._listed = ListedInstances() if listed is None else listed

    async def __call__(self, record: StudyRecord) -> Listing:
        """The instances of a study.

        Raises:
            UnavailableError: it is not held here, and the broker is away.
            BusyError: it is not held here, and too large to be listed by the broker.
        """
        listing = await self._list(record)
        uids = (text(one, "SOPInstanceUID") for each in listing.series for one in each.instances)
        await trio.to_thread.run_sync(self._listed.listed, record.study, uids)
        return listing

    async def _list(self, record: StudyRecord) -> Listing:
        held = await self._reads.held(record)
        if held is not None:
            entries = [known.entry for known in held.present]
            return await trio.to_thread.run_sync(listing_of_entries, entries)
        query = InstancesQuery(0, record.study.raw)
        try:
            reply = await self._host.call_broker(query, timeout=ANSWER)
        except UnavailableError as error:
            raise UnavailableError(
                "images of a study not here are listed when the broker is there"
            ) from error
        if not isinstance(reply, Instances):
            raise ProtocolError("the broker answered an InstancesQuery with something else")
        if reply.more:
            raise BusyError("too many images to list before the study is here: retrieve it")
        return await trio.to_thread.run_sync(decode_listing, reply.series)


def listing_of_entries(entries: list[InstanceEntry]) -> Listing:
    """What a query at image level may ask of the instances of an index."""
    told = [attributes_of(entry) for entry in entries]
    old = any(CHARACTER_SET not in attributes for attributes in told)
    return Listing(series_of(told), INSTANCE_TAGS - _ADDED_SINCE if old else None)


def attributes_of(instance: InstanceEntry) -> Json:
    """What a query at image level may ask of an instance of the index."""
    return {
        **instance.attributes,
        tag("SOPClassUID"): entry("UI", instance.sop_class_uid),
        tag("SOPInstanceUID"): entry("UI", instance.sop_instance_uid),
        tag("SeriesInstanceUID"): entry("UI", instance.series_instance_uid),
        tag("AvailableTransferSyntaxUID"): entry("UI", instance.transfer_syntax_uid),
    }
