"""To whom a study that is sent goes, by the settings: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from attrs import field, frozen

from p2pacs.catalogue.matching import matches
from p2pacs.dataset.json_model import Json, texts
from p2pacs.dataset.vocabulary import tag
from p2pacs.identity.directory import Directory, MemberRecord, Role
from p2pacs.ids import VirtualAddress
from p2pacs.phrases import Phrase
from p2pacs.swarm.scheduling.priority import Priority

_NAMED: Final = 12
"""Hospitals that an error names."""


@frozen
class RecipientRule:
    """Which studies are addressed to a member."""

    name: str
    """Of the member; or its virtual address."""
    callers: tuple[str, ...] = ()
    """Those of which something came from one of these AE titles; none: whoever it came from."""
    institutions: tuple[str, ...] = ()
    """... and that are of one of these institutions, with the wild cards of a C-FIND; none: of
    any."""
    priority: Priority = Priority.INTERACTIVE

    def holds(self, callers: Collection[str], institutions: Collection[str]) -> bool:
        """Whether a study is for this member."""
        if self.callers and not set(self.callers) & set(callers):
            return False
        return not self.institutions or any(
            matches("LO", one, institutions) for one in self.institutions
        )


@frozen
class Recipients:
    """To whom a study is addressed, and how urgently."""

    names: tuple[str, ...] = ()
    """Of members; or their virtual addresses."""
    priority: Priority = Priority.INTERACTIVE

    def with_more(self, other: Recipients) -> Recipients:
        """Those of both, as urgent as the more urgent one."""
        names = tuple(dict.fromkeys((*self.names, *other.names)))
        return Recipients(names, max(self.priority, other.priority))


@frozen
class Resolved:
    """Names, as the member directory has them."""

    members: tuple[MemberRecord, ...] = ()
    unknown: tuple[str, ...] = field(default=())
    """No member has such a name; or it cannot read."""

    @property
    def addresses(self) -> tuple[VirtualAddress, ...]:
        """The members', in their order."""
        return tuple(sorted(one.address for one in self.members))


def institutions_of(attributes: Json) -> list[str]:
    """The institutions that an instance tells of: Institution Name, and Requesting Service in the
    Request Attributes Sequence."""
    requests = attributes.get(tag("RequestAttributesSequence"), {}).get("Value", ())
    asked = [one for request in requests for one in texts(request, tag("RequestingService"))]
    return [*texts(attributes, "InstitutionName"), *asked]


def recipients_of(
    rules: Iterable[RecipientRule], callers: Collection[str], attributes: Json
) -> Recipients:
    """To whom a study goes.

    Args:
        rules: the settings'.
        callers: AE titles that it came from.
        attributes: of one of its instances.
    """
    institutions = institutions_of(attributes)
    found = Recipients((), Priority.BACKGROUND)
    for rule in rules:
        if rule.holds(callers, institutions):
            found = found.with_more(Recipients((rule.name,), rule.priority))
    return found


def readers(directory: Directory, me: VirtualAddress) -> list[MemberRecord]:
    """The members that a study can be addressed to. Replicas and brokers are none; nor is this
    member itself."""
    return [
        one
        for one in directory.members
        if one.role is Role.HOSPITAL and not one.revoked and one.address != me
    ]


def resolve(names: Sequence[str], directory: Directory, me: VirtualAddress) -> Resolved:
    """The members of these names, among those that a study can be addressed to.

    Upper and lower case count only where several names differ in nothing else.
    """
    there = readers(directory, me)
    exact = {one.name: one for one in there} | {str(one.address): one for one in there}
    folded = Counter(one.name.casefold() for one in there)
    loose = {one.name.casefold(): one for one in there if folded[one.name.casefold()] == 1}
    members = {name: exact.get(name) or loose.get(name.casefold()) for name in names}
    found = {one.address: one for one in members.values() if one is not None}
    return Resolved(tuple(found.values()), tuple(one for one in names if members[one] is None))


def why_nobody(name: str, directory: Directory, me: VirtualAddress) -> Phrase:
    """Why `resolve` knows no member of this name, and which there are."""
    own = [one for one in directory.members if one.address == me]
    if any(name.casefold() in (one.name.casefold(), str(one.address)) for one in own):
        return Phrase("%(name)s is this hospital: name another one", name=name)
    there = sorted(one.name for one in readers(directory, me))
    if not there:
        return Phrase("no other hospital of this network is called %(name)s", name=name)
    named = ", ".join([*there[:_NAMED], *(["…"] if len(there) > _NAMED else [])])
    return Phrase(
        "no other hospital of this network is called %(name)s; there are: %(names)s",
        name=name,
        names=named,
    )
