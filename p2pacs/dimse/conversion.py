"""Which receivers of C-MOVE and C-GET get instances converted, and how one is made ready."""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.contexts import Pair
from p2pacs.errors import TranscodingError
from p2pacs.transcode.choice import choose

Convert = Callable[[EncodedInstance, str], EncodedInstance]
"""Makes an instance in another transfer syntax; called in threads, raises `TranscodingError`."""


@frozen
class Conversion:
    """What a server may convert, and for whom; all others get what is stored."""

    convert: Convert
    destinations: Collection[str] = field(default=())
    """AE titles of C-MOVE destinations."""
    clients: bool = False
    """Whether C-GET clients are among them."""


def make_ready(
    instance: EncodedInstance, convert: Convert, accepted: Callable[[Pair], Collection[Pair]]
) -> EncodedInstance:
    """An instance as its receiver accepts it: as it is stored if possible.

    Args:
        instance: as it is stored.
        convert: makes it another one.
        accepted: what the receiver accepts, once it was asked for this pair.

    Raises:
        TranscodingError: it cannot be, or the receiver accepts none of what it can become.
        WorkerError: a codec broke at it.
        PacsUnreachableError: the receiver cannot be asked.
    """
    stored = instance.transfer_syntax_uid
    pair = (instance.sop_class_uid, stored)
    choice = choose(*pair, accepted(pair))
    if choice.syntax is None:
        raise TranscodingError(choice.reason)
    return instance if choice.syntax == stored else convert(instance, choice.syntax)
