"""Which studies a member may send, pure.

    rule    all | none | AE title { "," AE title }

With AE titles: those of which every instance came to the member from one of these. A member's word
is taken for where its instances came from: it guards against mistakes, not against the member.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from attrs import frozen

from p2pacs.errors import UsageError
from p2pacs.limits import AE_TITLE, CALLERS
from p2pacs.phrases import Phrase

_ALL: Final = "all"
_NONE: Final = "none"


@frozen
class SendRule:
    """Which studies a member may send."""

    everything: bool = False
    titles: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return _ALL if self.everything else ",".join(sorted(self.titles)) or _NONE

    def allows(self, callers: Collection[str]) -> bool:
        """Whether it may send a study that came from these AE titles."""
        return self.everything or (bool(callers) and self.titles.issuperset(callers))


def parse_send_rule(text: str) -> SendRule:
    """The rule in a text.

    Raises:
        UsageError: neither all nor none, nor AE titles.
    """
    said = text.strip()
    if said.lower() in (_ALL, _NONE):
        return SendRule(everything=said.lower() == _ALL)
    titles = [title.strip() for title in said.split(",")]
    for title in titles:
        if not 0 < len(title) <= AE_TITLE or not title.isascii() or not title.isprintable():
            raise UsageError(Phrase("what may be sent: all, none, or AE titles like CT1,MR1"))
        if "\\" in title:
            raise UsageError(Phrase("an AE title has no backslash"))
    if len(titles) > CALLERS:
        raise UsageError(Phrase("at most %(count)s AE titles", count=CALLERS))
    return SendRule(titles=frozenset(titles))
