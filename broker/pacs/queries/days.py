"""Splitting a query whose answer may be cut, by all that a PACS can be expected to match."""

from __future__ import annotations

import string
from collections.abc import Awaitable, Callable
from typing import Final

from attrs import evolve, field, frozen

from broker.pacs.adapter import Found
from p2pacs.catalogue.records import patient_of
from p2pacs.dataset.json_model import Json, text, texts
from p2pacs.dataset.vocabulary import tag

QUERIES: Final = 2000
"""To split one answer: 5 ms each. Beyond it, studies are missed, and that is said."""

_MINUTES: Final = 24 * 60
_PATIENT_ID: Final = 64
"""Characters of a Patient ID (LO, PS3.5 6.2)."""

_CHARACTERS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase + "-_./#+:~@"
_MODALITIES: Final = (
    *("CT", "MR", "CR", "DX", "US", "MG", "XA", "RF", "NM", "PT", "OT", "SR", "PR", "KO", "SEG"),
    *("SC", "ES", "XC", "OP", "OPT", "ECG", "DOC", "IO", "PX", "GM", "SM", "RTSTRUCT", "RTPLAN"),
)

_MODALITIES_KEY: Final = tag("ModalitiesInStudy")


@frozen
class Window:
    """What studies are asked for, as values to match; empty ones match all."""

    dates: str = ""
    times: str = ""
    patient: str = field(default="", repr=False)
    modality: str = ""


AskWindow = Callable[[Window], Awaitable[Found]]
"""One query at study level."""


class DaySplit:
    """Asks in smaller pieces; studies are told apart by their UID and patient."""

    def __init__(self, ask: AskWindow, incomplete: Callable[[], None]) -> None:
        self._ask = ask
        self._incomplete = incomplete
        self._studies: dict[tuple[str, ...], Json] = {}
        self._left = 0
        self._is_whole = True

    async def all(self, window: Window) -> list[Json]:
        """All studies of a window."""
        found = await self._ask(window)
        return await self.further(window, found) if found.may_be_cut else found.usable

    async def further(self, window: Window, found: Found) -> list[Json]:
        """All studies of a window, of which one answer has come and may be cut."""
        self._studies, self._left, self._is_whole = {}, QUERIES, True
        self._take(found)
        if window.dates:
            await self._by_time(window, 0, _MINUTES, said=found.is_cut)
            if not all(text(study, "StudyTime") for study in self._studies.values()):
                await self._by_patient(window, said=found.is_cut)  # those that no time finds
        else:
            await self._by_patient(window, said=found.is_cut)
        if not self._is_whole:
            self._incomplete()
        return list(self._studies.values())

    def _take(self, found: Found) -> None:
        self._studies.update((_identity(one), one) for one in found.usable)

    async def _query(self, window: Window) -> Found | None:
        """One query; None if too many were made."""
        if not self._left:
            self._is_whole = False
            return None
        self._left -= 1
        found = await self._ask(window)
        self._take(found)
        return found

    async def _by_time(self, window: Window, first: int, minutes: int, *, said: bool) -> None:
        """In halves, down to a minute."""
        half = minutes // 2
        for start, length in ((first, half), (first + half, minutes - half)):
            part = evolve(window, times=_times(start, length))
            found = await self._query(part)
            if found is None:
                return
            if not _all_within(found, start, length):  # it does not match times
                await self._by_patient(window, said=said)
                return
            if found.may_be_cut and length > 1:
                await self._by_time(window, start, length, said=found.is_cut)
            elif found.may_be_cut:
                await self._by_patient(part, said=found.is_cut)

    async def _by_patient(self, window: Window, *, said: bool, end: str = "") -> None:
        """By the last characters of the Patient ID: its first ones are often all the same."""
        if end:
            exact = await self._query(evolve(window, patient=end))
            if exact is not None and exact.may_be_cut:
                await self._by_modality(evolve(window, patient=end), said=exact.is_cut)
        for character in _CHARACTERS:
            longer = character + end
            found = await self._query(evolve(window, patient="*" + longer))
            if found is None:
                return
            ids = [text(study, "PatientID") for study in found.usable]
            if not all(one.lower().endswith(longer.lower()) for one in ids):
                await self._by_modality(window, said=said)  # it does not match wildcards
                return
            # Where case does not matter the other case finds the same: once is enough.
            mine = any(one.endswith(longer) for one in ids)
            if found.may_be_cut and mine and len(longer) < _PATIENT_ID:
                await self._by_patient(window, said=found.is_cut, end=longer)

    async def _by_modality(self, window: Window, *, said: bool) -> None:
        """The last resort, by usual modalities and those that were seen: what is still cut then is
        missed."""
        before = len(self._studies)
        seen = {one for study in self._studies.values() for one in texts(study, _MODALITIES_KEY)}
        for modality in (*_MODALITIES, *sorted(seen.difference(_MODALITIES))):
            found = await self._query(evolve(window, modality=modality))
            if found is None:
                return
            if found.looks_cut or (found.is_longest and len(self._studies) > len(found.usable)):
                self._is_whole = False
        if said and len(self._studies) == before:
            self._is_whole = False


def _identity(study: Json) -> tuple[str, ...]:
    """A study of several patients is one answer for each of them."""
    return text(study, "StudyInstanceUID"), *patient_of(study)


def _all_within(found: Found, first: int, minutes: int) -> bool:
    """Whether all studies have a time of these minutes of the day: a range matches no other."""
    low, high = _clock(first), _clock(first + minutes)
    times = (text(study, "StudyTime").replace(":", "")[:4] for study in found.usable)
    return all(time and low <= time.ljust(4, "0") < high for time in times)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}{minute % 60:02}"


def _times(first: int, minutes: int) -> str:
    return f"{_clock(first)}00-{_clock(first + minutes - 1)}59.999999"
