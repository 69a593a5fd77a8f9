"""The answer to a store request (PS3.18 10.5.3, I.2): what was kept, what not, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, field, frozen

from p2pacs.dataset.json_model import Json, entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.dicomweb.server.store_backend import KeptInstance
from p2pacs.errors import (
    AccessError,
    DuplicateInstanceError,
    LocalError,
    NotAcceptableError,
    P2PacsError,
    PacsDataError,
    UnavailableError,
    WrongStudyError,
)

PROCESSING: Final = 0x0110
DUPLICATE: Final = 0x0111
NOT_AUTHORISED: Final = 0x0124
OUT_OF_RESOURCES: Final = 0xA700
NOT_AS_SAID: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
NO_CLASS: Final = 0x0122

_REASONS: Final[Sequence[tuple[type[P2PacsError], int]]] = (
    (NotAcceptableError, NO_CLASS),
    (AccessError, NOT_AUTHORISED),
    (WrongStudyError, NOT_AS_SAID),
    (DuplicateInstanceError, DUPLICATE),
    (PacsDataError, CANNOT_UNDERSTAND),
    (LocalError, OUT_OF_RESOURCES),
    (UnavailableError, OUT_OF_RESOURCES),
)
"""The first that applies; see PS3.18 table I.2-2 and PS3.7 annex C."""


def failure_reason(error: P2PacsError) -> int:
    """The Failure Reason (0008,1197) of what was not kept."""
    return next((code for kind, code in _REASONS if isinstance(error, kind)), PROCESSING)


_BESIDE: Final = (
    "an instance came before with other bytes under the same UID, or it is broken: it is kept "
    "beside, and is not sent on"
)


@frozen
class StoreFailure:
    """One that was not kept; without UIDs where they are not known."""

    reason: int
    sop_class: str = ""
    instance: str = field(default="", repr=False)


@define
class StoreOutcome:
    """What became of one request."""

    stored: list[KeptInstance] = field(factory=list)
    failed: list[StoreFailure] = field(factory=list)
    said: dict[str, None] = field(factory=dict, repr=False)
    """Why, in words, each once, in their order."""

    def add(self, kept: KeptInstance) -> None:
        """One is on the disk."""
        if kept.beside:
            self.fail(DuplicateInstanceError(_BESIDE), kept.sop_class, kept.instance)
        else:
            self.stored.append(kept)

    def fail(self, error: P2PacsError, sop_class: str = "", instance: str = "") -> None:
        """One was not kept."""
        self.failed.append(StoreFailure(failure_reason(error), sop_class, instance))
        self.said[str(error)] = None

    @property
    def status(self) -> int:
        """The HTTP status (table 10.5.3-1)."""
        if self.stored:
            return 202 if self.failed else 200
        reasons = {one.reason for one in self.failed}
        if reasons == {NOT_AUTHORISED}:
            return 403
        return 503 if reasons == {OUT_OF_RESOURCES} else 409

    def data_set(self, root: str) -> Json:
        """The data set of the answer (table 10.5.3-2).

        Args:
            root: URL of the services.
        """
        told: Json = {}
        studies = {one.study for one in self.stored}
        if len(studies) == 1:
            told[tag("RetrieveURL")] = entry("UR", root + Resource(*studies).path)
        named = [_failed(one) for one in self.failed if one.instance]
        others = [_failed(one) for one in self.failed if not one.instance]
        stored = [_stored(one, root) for one in self.stored]
        for keyword, items in (
            ("FailedSOPSequence", named),
            ("ReferencedSOPSequence", stored),
            ("OtherFailuresSequence", others),
        ):
            if items:
                told[_SEQUENCES[keyword]] = entry("SQ", *items)
        return dict(sorted(told.items()))


_SEQUENCES: Final = {
    "FailedSOPSequence": "00081198",
    "ReferencedSOPSequence": "00081199",
    "OtherFailuresSequence": "0008119A",
}


def _referenced(sop_class: str, instance: str) -> Json:
    return {"00081150": entry("UI", sop_class), "00081155": entry("UI", instance)}


def _stored(one: KeptInstance, root: str) -> Json:
    path = Resource(one.study, one.series, one.instance).path
    return {**_referenced(one.sop_class, one.instance), "00081190": entry("UR", root + path)}


def _failed(one: StoreFailure) -> Json:
    named = _referenced(one.sop_class, one.instance) if one.instance else {}
    return {**named, "00081197": entry("US", one.reason)}


def sentences(said: Iterable[str], most: int = 5) -> list[str]:
    """The first few reasons, as they may stand in headers."""
    return list(said)[:most]
