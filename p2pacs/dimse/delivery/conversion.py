"""Which receivers of C-MOVE and C-GET get instances converted, and how one is made ready."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum

from attrs import field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dimse.association.contexts import Pair
from p2pacs.errors import TranscodingError
from p2pacs.limits import CONVERTED_BYTES, MIB
from p2pacs.transcode.choice import choose
from p2pacs.transcode.syntaxes import IMPLICIT_LITTLE

Convert = Callable[[EncodedInstance, str], EncodedInstance]
"""Makes an instance in another transfer syntax; called in threads, raises `TranscodingError`."""


class Converting(StrEnum):
    """What of an instance that a receiver does not accept as it is stored."""

    NEVER = "never"
    """It is refused."""
    IMPLICIT_ONLY = "implicit only"
    """It is converted if the receiver takes Implicit VR Little Endian alone: that is what every
    application entity takes (PS3.5 10.1), and some old ones nothing else."""
    WHEN_NEEDED = "when needed"
    """It is converted."""

    def allows(self, sop_class: str, accepted: Collection[Pair]) -> bool:
        """Whether something of this class may be converted for who accepts such pairs."""
        if self is not Converting.IMPLICIT_ONLY:
            return self is Converting.WHEN_NEEDED
        return {pair[1] for pair in accepted if pair[0] == sop_class} == {IMPLICIT_LITTLE}


@frozen
class Conversion:
    """What a server may convert, and for whom; all others get what is stored."""

    convert: Convert
    destinations: Mapping[str, Converting] = field(factory=dict)
    """By the AE title of a C-MOVE destination."""
    clients: Converting = Converting.NEVER
    """For C-GET clients."""


def make_ready(
    instance: EncodedInstance | LargeInstance,
    convert: Convert,
    accepted: Callable[[Pair], Collection[Pair]],
    converting: Converting = Converting.WHEN_NEEDED,
) -> EncodedInstance | LargeInstance:
    """An instance as its receiver accepts it: as it is stored if possible, or if it may not be
    converted.

    Args:
        instance: as it is stored.
        convert: makes it another one.
        accepted: what the receiver accepts, once it was asked for this pair.
        converting: for which receivers.

    Raises:
        TranscodingError: it cannot be, or is too large for that, or the receiver accepts none of
            what it can become.
        WorkerError: a codec broke at it.
        PacsUnreachableError: the receiver cannot be asked.
    """
    stored = instance.transfer_syntax_uid
    pair = (instance.sop_class_uid, stored)
    pairs = accepted(pair)
    if pair in pairs or not converting.allows(pair[0], pairs):
        return instance
    choice = choose(*pair, pairs)
    if choice.syntax is None:
        raise TranscodingError(choice.reason)
    return convert(_whole(instance), choice.syntax)


def _whole(instance: EncodedInstance | LargeInstance) -> EncodedInstance:
    """All of it, which converting takes.

    Raises:
        TranscodingError: it is too large.
        P2PacsError: it cannot be read.
    """
    if isinstance(instance, EncodedInstance):
        return instance
    if instance.size > CONVERTED_BYTES:
        most = CONVERTED_BYTES // MIB
        raise TranscodingError(f"an instance of more than {most} MiB is not converted")
    return EncodedInstance(
        instance.sop_class_uid,
        instance.sop_instance_uid,
        instance.transfer_syntax_uid,
        instance.read(0, instance.size),
    )
