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
_NAMED: Final = 4
"""AE titles that a refusal names."""


@frozen
class SendRule:
    """Which studies a member may send."""

    everything: bool = False
    titles: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return _ALL if self.everything else ",".join(sorted(self.titles)) or _NONE

    def denial(self, callers: Collection[str]) -> str | None:
        """Why it may not send a study that came from these AE titles; None: it may."""
        if self.everything or (callers and self.titles.issuperset(callers)):
            return None
        if not self.titles:
            return "its rule is none"
        if not callers:
            return "it is not said from which AE title it came"
        more = ["..."] if len(self.titles) > _NAMED else []
        allowed = ",".join([*sorted(self.titles)[:_NAMED], *more])
        return f"{min(set(callers) - self.titles)} is not among {allowed}"


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
