"""The members of the network as people read them: who there is, and how each is reached. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from p2pacs.errors import P2PacsError, RevokedError
from p2pacs.identity.directory import MemberRecord
from p2pacs.ids import VirtualAddress
from p2pacs.languages import N_, _, formats, said
from p2pacs.output.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.pages.forms import sentence
from p2pacs.phrases import Phrase
from p2pacs.texts import clean

REVOKED: Final = N_(
    "This hospital is no member of the network any more: the administrator of the network has"
    " revoked it. Studies can be neither searched nor fetched, and what is here cannot be opened."
    " Ask that administrator: it can only be registered anew."
)

MEMBERS: Final = 256
"""Members on the page: those with a link first."""


def network_words(
    members: Iterable[MemberRecord],
    me: VirtualAddress,
    links: Collection[VirtualAddress],
    how: Callable[[MemberRecord], str],
    event: JsonObject,
) -> list[JsonObject]:
    """All other members.

    Args:
        members: as the directory has them.
        me: this member, which is left out.
        links: members that are linked.
        how: how one is reached, or why it is not (`peer.api.reached.HowReached.member`).
        event: what moves (`peer.api.activity.Activity.event`).
    """
    incoming = rates_by_source(event)
    outgoing = {one["name"]: one for one in event["uploads"]}
    others = [one for one in members if one.address != me]
    others.sort(key=lambda one: (one.address not in links, one.role, one.name))
    return [
        _member(one, incoming, outgoing, linked=one.address in links)
        | {"how": clean(said(how(one)))}
        for one in others[:MEMBERS]
    ]


def own_words(how: Phrase | None, helps: Phrase | None) -> JsonObject:
    """How others get to this member, and what would help; empty where nothing is to be said.

    Args:
        how: as `peer.api.reached.HowReached.how`.
        helps: as `peer.api.reached.HowReached.help`.
    """
    return {
        "reached": "" if how is None else sentence(how),
        "helps": "" if helps is None else _("What would help: %(what)s.", what=said(helps)),
    }


def trouble_words(*, revoked: bool, linked: bool, refused: Iterable[P2PacsError]) -> JsonObject:
    """What keeps this member from working.

    Args:
        revoked: whether the directory says that it was revoked.
        linked: whether a broker is linked.
        refused: why brokers take no link of it.

    Returns:
        ``words`` for who sees to the network, ``revoked`` for everybody; empty if nothing does.
    """
    reasons = list(refused)
    if revoked or any(isinstance(one, RevokedError) for one in reasons):
        return {"words": said(REVOKED), "revoked": said(REVOKED)}
    if linked:
        return {"words": "", "revoked": ""}
    trouble = _(
        "The broker is not linked: studies that are in the network still come, new ones do not."
    )
    if not reasons:
        return {"words": trouble, "revoked": ""}
    says = _("It says: %(why)s.", why=clean(said(str(reasons[0]))))
    return {"words": f"{trouble} {says}", "revoked": ""}


def rates_by_source(event: JsonObject) -> dict[str, float]:
    """Bytes a second that come from each member, by its name, in all transfers."""
    rates: dict[str, float] = {}
    for transfer in event["transfers"]:
        for name, source in transfer["sources"].items():
            rates[name] = rates.get(name, 0.0) + source["rate"]
    return rates


def _member(
    one: MemberRecord,
    incoming: Mapping[str, float],
    outgoing: Mapping[str, JsonObject],
    *,
    linked: bool,
) -> JsonObject:
    sent = outgoing.get(one.name)
    return {
        "name": clean(one.name),
        "role": said(str(one.role)),
        "state": "revoked" if one.revoked else "linked" if linked else "away",
        "words": _("Revoked") if one.revoked else _("Linked") if linked else _("Not linked"),
        "in": words.rate(incoming[one.name]) if incoming.get(one.name) else "",
        "out": words.rate(sent["rate"]) if sent and sent["rate"] else "",
        "sent": formats.size(sent["bytes"]) if sent else "",
    }
