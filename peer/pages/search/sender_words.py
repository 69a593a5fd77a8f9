"""Who sent a study to this hospital, as people read it. Pure."""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from p2pacs.identity.directory import Directory, Role
from p2pacs.languages import _, ngettext
from p2pacs.pages.times import utc
from p2pacs.texts import clean
from peer.retrieval.sent_here import SentHere


@frozen
class ShownSender:
    """Who sent a study, when and how urgently."""

    name: str
    """Of the member; empty: an administrator of the network did."""
    when: str
    is_stat: bool
    is_new: bool
    """Whether nobody here has read it yet."""

    @classmethod
    def of(cls, one: SentHere, directory: Directory) -> ShownSender:
        """How it is shown.

        Args:
            one: which.
            directory: names the members.
        """
        sender = directory.get(one.sender)
        by_broker = sender is not None and sender.role is Role.BROKER
        name = "" if by_broker else clean(sender.name if sender else str(one.sender))
        return cls(name, utc(one.addressed), one.is_stat, not one.is_read)

    @property
    def words(self) -> str:
        """Who it was."""
        if not self.name:
            return _("Sent by the network's administrator")
        return _("Sent by %(member)s", member=self.name)

    @property
    def sentence(self) -> str:
        """The same as a sentence, with when it was."""
        if not self.name:
            return _(
                "The network's administrator sent this study to this hospital: %(when)s.",
                when=self.when,
            )
        return _(
            "%(member)s sent this study to this hospital: %(when)s.",
            member=self.name,
            when=self.when,
        )


def unread_words(unread: Collection[SentHere]) -> str:
    """What to say of the studies that nobody here has read yet; empty if there are none."""
    if not unread:
        return ""
    said = ngettext(
        "%(num)s new study was sent to this hospital",
        "%(num)s new studies were sent to this hospital",
        len(unread),
    )
    urgent = sum(one.is_stat for one in unread)
    return _("%(studies)s; STAT: %(count)s", studies=said, count=urgent) if urgent else said
