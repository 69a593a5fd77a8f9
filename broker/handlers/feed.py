"""The catalogue's feed as one member may see it: pages filtered by its read rule, and by what was
addressed to it.

A member's position is the catalogue's sequence number and the version of its read rule in
one number. A changed rule makes every earlier position invalid: the feed starts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from attrs import evolve, frozen

from broker.access.rules import Rule, allows
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import PAGE_BYTES, FeedEntry, Tombstone, encode_entry
from p2pacs.catalogue.records import StudyRecord
from p2pacs.ids import StudyId
from p2pacs.limits import CATALOGUE_PAGE

_RULE_BITS: Final = 16
_RULES: Final = 1 << _RULE_BITS

Former = Callable[[StudyId], Iterable[StudyRecord] | None]
"""What a study was before it changed; None if that is not known."""

Wrap = Callable[[StudyId], bytes]
"""A study's key, wrapped to the member that asks; empty if there is none."""

Addressed = Callable[[Collection[StudyId]], Mapping[StudyId, bool]]
"""Which of some studies are (true), or were (false), addressed to the member that asks."""


@frozen
class MemberFeedPage:
    """One page for one member."""

    entries: list[bytes]
    until: int
    more: bool
    reset: bool
    granted: list[StudyRecord]
    """Records whose key is on the page."""


def position(seq: int, read_version: int) -> int:
    """What a member is told of where it is."""
    return seq << _RULE_BITS | read_version % _RULES


def sequence(since: int, read_version: int) -> int:
    """The catalogue's sequence number in a member's position; 0 if another rule held then."""
    return since >> _RULE_BITS if since % _RULES == read_version % _RULES else 0


def visible(
    entry: FeedEntry, rule: Rule, former: Former, *, reset: bool, addressed: bool | None
) -> FeedEntry | None:
    """What a member is told of an entry.

    A study that it may not read (any more) is gone for it, if it could have seen it before. In a
    feed that starts anew nothing was ever there.

    Args:
        entry: of the feed.
        rule: the member's.
        former: what a study was.
        reset: whether the feed starts anew.
        addressed: whether the study is addressed to the member; None: it never was.
    """
    if isinstance(entry, StudyRecord) and (addressed or allows(rule, entry)):
        return entry
    if reset:
        return None
    if addressed is not None:
        return Tombstone(entry.study)
    before = None if rule.everything else former(entry.study)
    seen = before is None or any(allows(rule, record) for record in before)
    return Tombstone(entry.study) if seen else None


def _never(_some: Collection[StudyId]) -> Mapping[StudyId, bool]:
    return {}


def read_page(
    index: CatalogueIndex,
    since: int,
    rule: Rule,
    read_version: int,
    wrap: Wrap,
    *,
    addressed: Addressed = _never,
) -> MemberFeedPage:
    """The page of the feed after a member's position. Reads the index: for a worker thread."""
    limit = CATALOGUE_PAGE
    while True:
        page = index.since(sequence(since, read_version), limit)
        named = addressed([entry.study for entry in page.entries])
        # Positions of another time begin with 0, which `since` answers by starting anew.
        encoded: list[bytes] = []
        granted: list[StudyRecord] = []
        room, fitting = PAGE_BYTES, 0
        for entry in page.entries:
            own = named.get(entry.study)
            shown = visible(entry, rule, index.former, reset=page.reset, addressed=own)
            if isinstance(shown, StudyRecord) and shown.version:
                shown = evolve(shown, wrapped_key=wrap(shown.study))
            raw = b"" if shown is None else encode_entry(shown)
            room -= len(raw)
            if room < 0 and fitting:
                break
            fitting += 1
            if raw:
                encoded.append(raw)
            if isinstance(shown, StudyRecord) and shown.wrapped_key:
                granted.append(shown)
        if fitting == len(page.entries):
            until = position(page.until, read_version)
            return MemberFeedPage(encoded, until, page.more, page.reset, granted)
        limit = fitting
