"""The members of the network as people read them: who there is, and how each is reached. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from p2pacs.errors import P2PacsError, RevokedError
from p2pacs.identity.directory import MemberRecord
from p2pacs.ids import VirtualAddress
from p2pacs.languages import N_, _, formats, said
from p2pacs.output.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.texts import clean

REVOKED: Final = N_(
    "This hospital is no member of the network any more: the administrator of the network has"
    " revoked it. Studies can be neither searched nor fetched, and what is here cannot be opened."
    " Ask that administrator: it can only be registered anew."
)

MEMBERS: Final = 256
"""Members on the page: those with a link first."""


_LINKED: Final = {
    (True, True): N_("on the local network, dialled from here"),
    (True, False): N_("on the local network, dialled from there"),
    (False, True): N_("over the line, dialled from here"),
    (False, False): N_("over the line, dialled from there"),
}
"""Whether it is in the local network, and whether it was dialled from here."""


class MemberLink(Protocol):
    """An open link (`p2pacs.mesh.connection.Connection`)."""

    @property
    def dialled(self) -> bool:
        """Whether this side dialled."""

    @property
    def lan(self) -> bool:
        """Whether the other side is on this side's local network."""


def network_words(
    members: Iterable[MemberRecord],
    me: VirtualAddress,
    links: Mapping[VirtualAddress, MemberLink],
    refused: Mapping[VirtualAddress, P2PacsError],
    event: JsonObject,
) -> list[JsonObject]:
    """All other members.

    Args:
        members: as the directory has them.
        me: this member, which is left out.
        links: open ones.
        refused: why a member lets no link be.
        event: what moves (`peer.api.activity.Activity.event`).
    """
    incoming = rates_by_source(event)
    outgoing = {one["name"]: one for one in event["uploads"]}
    others = [one for one in members if one.address != me]
    others.sort(key=lambda one: (one.address not in links, one.role, one.name))
    return [
        _member(one, links.get(one.address), refused.get(one.address), incoming, outgoing)
        for one in others[:MEMBERS]
    ]


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
    link: MemberLink | None,
    refused: P2PacsError | None,
    incoming: Mapping[str, float],
    outgoing: Mapping[str, JsonObject],
) -> JsonObject:
    sent = outgoing.get(one.name)
    return {
        "name": clean(one.name),
        "role": said(str(one.role)),
        "state": "revoked" if one.revoked else "linked" if link else "away",
        "words": _("Revoked") if one.revoked else _("Linked") if link else _("Not linked"),
        "how": _how(one, link, refused),
        "in": words.rate(incoming[one.name]) if incoming.get(one.name) else "",
        "out": words.rate(sent["rate"]) if sent and sent["rate"] else "",
        "sent": formats.size(sent["bytes"]) if sent else "",
    }


def _how(one: MemberRecord, link: MemberLink | None, refused: P2PacsError | None) -> str:
    if link is not None:
        return said(_LINKED[link.lan, link.dialled])
    if one.revoked:
        return _("expelled by the administrator")
    if refused is not None:
        return clean(said(str(refused)))
    if not one.endpoints:
        return _("dials out only: it comes to us when it needs something")
    return _("is dialled when a study needs it")
