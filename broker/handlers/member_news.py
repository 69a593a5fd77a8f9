"""What the broker tells its members unasked: a newer directory, a catalogue that has grown."""

from __future__ import annotations

from broker.handlers import feed
from broker.handlers.interfaces import Directories, MemberLinks
from p2pacs.identity.directory import Directory, Role
from p2pacs.wire.messages.messages import CatalogueNews, DirectoryNews


class MemberNews:
    """Tells all linked members that a news concerns."""

    def __init__(self, links: MemberLinks, book: Directories) -> None:
        self._links = links
        self._book = book

    def catalogue_grown(self, seq: int) -> None:
        """The catalogue has grown to this sequence number: tell who follows it."""
        self._links.tell_linked(CatalogueNews(feed.position(seq, 0)), [Role.HOSPITAL])

    def directory_changed(self, _directory: Directory) -> None:
        """There is a newer member directory: push it."""
        self._links.tell_linked(DirectoryNews(self._book.raw), [Role.HOSPITAL, Role.REPLICA])
