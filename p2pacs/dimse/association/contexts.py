"""Which presentation contexts to propose and to accept, so that nobody transcodes (pure).

A context may propose several transfer syntaxes, and the acceptor then picks one
for all instances of that SOP Class: those stored in another one would be
transcoded or fail. So each (SOP Class, transfer syntax) pair gets a context of
its own, as far as the 128 of an association reach (PS3.8 9.3.2.2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

from attrs import frozen
from pydicom import uid

Pair = tuple[str, str]
"""A SOP Class UID and a transfer syntax UID."""

CommitmentRole = Literal["none", "SCP", "SCU"]
"""What an acceptor does of Storage Commitment: it is asked; or it is reported to."""

CONTEXTS: Final = 128
"""Presentation contexts of one association: the odd numbers of a byte."""

VERIFICATION: Final = "1.2.840.10008.1.1"
FIND: Final = {"PATIENT": "1.2.840.10008.5.1.4.1.2.1.1", "STUDY": "1.2.840.10008.5.1.4.1.2.2.1"}
MOVE: Final = {"PATIENT": "1.2.840.10008.5.1.4.1.2.1.2", "STUDY": "1.2.840.10008.5.1.4.1.2.2.2"}
GET: Final = {"PATIENT": "1.2.840.10008.5.1.4.1.2.1.3", "STUDY": "1.2.840.10008.5.1.4.1.2.2.3"}
COMMITMENT: Final = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model, and its one SOP Instance:"""
COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
"""Prefix of the Storage SOP Classes (PS3.4 B.5)."""
SERVICES: Final = frozenset({VERIFICATION, *FIND.values(), *MOVE.values(), *GET.values()})
"""Those that every server accepts."""

NATIVE: Final = tuple(
    str(syntax)
    for syntax in (
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    )
)
"""Transfer syntaxes of data sets without compressed pixel data, the usual one first."""

_COMPRESSED: Final = tuple(
    f"1.2.840.10008.1.2.{suffix}"
    for suffix in (
        *("4.70", "4.90", "4.80", "4.50", "4.91", "5", "4.51", "4.57", "4.81"),
        *("4.201", "4.202", "4.203", "4.110", "4.111", "4.112"),
        *("4.102", "4.103", "4.104", "4.105", "4.106", "4.107", "4.108", "4.100", "4.101"),
        *("4.92", "4.93", "8.1", "1.98"),
        *("4.100.1", "4.101.1", "4.102.1", "4.103.1", "4.104.1", "4.105.1", "4.106.1"),
    )
)
"""The others of PS3.6 A that carry whole data sets, by how often PACS store them."""

_WITHOUT_PIXELS: Final = (
    *("1.2.840.10008.5.1.4.1.1.11.", "1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104."),
    *("1.2.840.10008.5.1.4.1.1.9.", "1.2.840.10008.5.1.4.1.1.66.1", "1.2.840.10008.5.1.4.1.1.66.2"),
    *("1.2.840.10008.5.1.4.1.1.66.5", "1.2.840.10008.5.1.4.1.1.481.3"),
    *("1.2.840.10008.5.1.4.1.1.481.5", "1.2.840.10008.5.1.4.1.1.481.8"),
)
"""Prefixes of SOP Classes without pixel data: presentation states, reports, documents,
waveforms, registrations, RT structure sets and plans (PS3.4 B.5)."""


def plausible_syntaxes(sop_class: str) -> tuple[str, ...]:
    """Transfer syntaxes that a PACS may store this SOP Class in, the likely ones first."""
    if sop_class.startswith(_WITHOUT_PIXELS):
        return NATIVE
    return (*NATIVE[:2], *_COMPRESSED[:4], *NATIVE[2:], *_COMPRESSED[4:])


def propose_storage(
    wanted: Mapping[str, Sequence[str]], room: int = CONTEXTS - 1
) -> list[list[tuple[str, list[str]]]]:
    """Contexts for receiving instances of these SOP Classes as they are stored.

    A SOP Class stands in one association, with all its syntaxes, as long as these fit into
    one. What is not proposed fails and is asked for again; but a class of which only some syntaxes
    are proposed is transcoded to one of them by a PACS that can, and nobody is told (Orthanc
    decompressed JPEG baseline and RLE so, where a study had ten classes).

    Args:
        wanted: SOP Class → the transfer syntaxes it is stored in; empty if not known.
        room: how many contexts there may be in one association.

    Returns:
        One context a pair, for one association after the other, in the order of the classes
        as far as they fit.
    """
    proposals: list[list[tuple[str, list[str]]]] = []
    for sop_class, known in wanted.items():
        pairs = [(sop_class, [syntax]) for syntax in known or plausible_syntaxes(sop_class)]
        for part in (pairs[at : at + room] for at in range(0, len(pairs), room)):
            free = (one for one in proposals if len(one) + len(part) <= room)
            if (proposal := next(free, None)) is not None:
                proposal += part
            else:
                proposals.append(part)
    return proposals


def refusal(pair: Pair) -> str:
    """What to say of a pair that the other side does not accept, in the space of a comment.

    The keywords of PS3.6, as the names are too long; the UID of what has none.
    """
    sop_class, syntax = (uid.UID(one).keyword or one for one in pair)
    return f"{syntax} not accepted: {sop_class}"


def refusal_to_receiver(pair: Pair, offered: Iterable[tuple[str, Sequence[str]]]) -> str:
    """As `refusal`, of a pair that a C-GET client cannot be sent.

    Args:
        pair: as it is stored.
        offered: SOP Class and transfer syntaxes of each context that the client proposed. Where
            the pair is among them, another syntax was accepted, as the client has it before.
    """
    if any(pair[0] == sop_class and pair[1] in syntaxes for sop_class, syntaxes in offered):
        return f"stored as {uid.UID(pair[1]).keyword or pair[1]}: offer it first, or use C-MOVE"
    return refusal(pair)


def propose_sending(
    next_pair: Pair, known: Iterable[Pair], also: Sequence[str] = ()
) -> list[tuple[str, list[str]]]:
    """Contexts for sending: the pair needed now, then others that are known to come.

    Args:
        next_pair: the one that is needed now.
        known: others.
        also: transfer syntaxes that each SOP Class may be converted to.
    """
    stored = [next_pair, *known]
    pairs = dict.fromkeys((pair[0], syntax) for pair in stored for syntax in (pair[1], *also))
    return [(sop_class, [syntax]) for sop_class, syntax in list(pairs)[:CONTEXTS]]


@frozen
class Acceptance:
    """What we accept of one SOP Class."""

    sop_class: str
    syntaxes: tuple[str, ...]
    """Those chosen for its contexts."""
    roles: tuple[bool, bool] | None
    """Whether the requestor may be SCU, and SCP; None: the default roles."""


def accept(
    proposed: Sequence[tuple[str, Sequence[str]]],
    scp_proposed: Collection[str],
    *,
    stores: bool,
    commitment: CommitmentRole = "none",
) -> list[Acceptance]:
    """What an acceptor accepts of a proposal.

    Args:
        proposed: SOP Class and transfer syntaxes of each context.
        scp_proposed: SOP Classes for which the requestor offers to be SCP: for C-GET.
        stores: whether C-STORE from the requestor is accepted.
        commitment: what the acceptor does of Storage Commitment.
    """
    chosen: dict[str, list[str]] = {}
    for (sop_class, _), syntax in zip(proposed, choose_syntaxes(proposed), strict=True):
        if syntax is not None:
            chosen.setdefault(sop_class, []).append(syntax)
    accepted = []
    for sop_class, syntaxes in chosen.items():
        roles: tuple[bool, bool] | None = None
        is_accepted = sop_class in SERVICES or stores or sop_class in scp_proposed
        if sop_class == COMMITMENT:
            is_accepted = commitment != "none"
            if commitment == "SCU" and sop_class in scp_proposed:
                roles = (False, True)
        elif sop_class in scp_proposed and sop_class not in SERVICES:
            roles = (stores, True)
        if is_accepted:
            accepted.append(Acceptance(sop_class, tuple(dict.fromkeys(syntaxes)), roles))
    return accepted


def wants_to_store(
    proposed: Sequence[tuple[str, Sequence[str]]], scp_proposed: Collection[str]
) -> bool:
    """Whether a requestor that proposes this has instances to store; arguments as of `accept`."""
    return any(
        sop_class.startswith(_STORAGE) and sop_class not in scp_proposed
        for sop_class, _ in proposed
    )


def choose_syntaxes(proposed: Sequence[tuple[str, Sequence[str]]]) -> list[str | None]:
    """The transfer syntax to accept in each context; None: none of those that it offers.

    What is stored is never converted, so each context of a SOP Class gets another syntax
    where the requestor leaves the choice, and each the first in the requestor's own order.
    What was sent to others before plays no part: a client that gets its study today gets it
    tomorrow.
    """
    chosen: list[str | None] = [None] * len(proposed)
    taken: set[Pair] = set()
    # Those with the least choice first, or another would take what they need.
    for place in sorted(range(len(proposed)), key=lambda place: len(proposed[place][1])):
        sop_class, offered = proposed[place]
        if sop_class in SERVICES or sop_class == COMMITMENT:
            chosen[place] = next((one for one in NATIVE[:2] if one in offered), None)
            continue
        free = (one for one in offered if (sop_class, one) not in taken)
        syntax = next(free, next(iter(offered), None))
        if syntax is not None:
            taken.add((sop_class, syntax))
        chosen[place] = syntax
    return chosen
