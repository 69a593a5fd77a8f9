"""SOP Class Extended Negotiation of the Query/Retrieve classes (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1;
PS3.7 D.3.3.5), pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dimse.association.contexts import FIND, GET, MOVE

_RELATIONAL, _COMBINED, _FUZZY = range(3)
_BYTES: Final = 7
"""Of the Service Class Application Information of a FIND class (PS3.4 table C.5-2)."""
_RETRIEVALS: Final = frozenset({*MOVE.values(), *GET.values()})


def negotiate(
    proposed: Mapping[str, bytes], always: SearchOptions
) -> tuple[dict[str, SearchOptions], dict[str, bytes]]:
    """What a requestor gets of what it asks for.

    A byte that it leaves out it does not ask for, and is not answered. Time zones are not adjusted,
    multi-frame images not converted, empty values not matched; of several values of a key any may
    match, always.

    Args:
        proposed: SOP Class → Service Class Application Information.
        always: what searches do whether it is asked for or not.

    Returns:
        SOP Class → options of its searches and retrievals; SOP Class → what to answer.
    """
    options, answers = dict[str, SearchOptions](), dict[str, bytes]()
    for sop_class, information in proposed.items():
        if sop_class in FIND.values():
            asked = [byte == 1 for byte in information[:_BYTES].ljust(_BYTES, b"\0")]
            options[sop_class] = done = SearchOptions(
                relational=always.relational or asked[_RELATIONAL],
                combined=always.combined or asked[_COMBINED],
                fuzzy=always.fuzzy or asked[_FUZZY],
            )
            said = bytes([done.relational, done.combined, done.fuzzy, 0, 0, 0, 1])
            answers[sop_class] = said[: len(information)]
        elif sop_class in _RETRIEVALS:
            options[sop_class] = done = SearchOptions(relational=information[:1] == b"\1")
            answers[sop_class] = bytes([done.relational, 0])[: len(information)]
    return options, answers
