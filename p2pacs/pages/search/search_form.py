"""What somebody typed to find studies, as query keys of DICOM (PS3.4 C.2.2.2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final, Self

from attrs import evolve, field, frozen

from p2pacs.dataset.json_model import Json, entry, name_groups
from p2pacs.dataset.vocabulary import tag, vr_of
from p2pacs.errors import UsageError
from p2pacs.languages import N_, _, said

LONGEST: Final = 64
"""Characters of a field: what a name or a description has at most (PS3.5 6.2, VR LO and PN)."""

PAGES: Final = 400
"""Pages of one search: who needs more narrows it."""

SPANS: Final[Mapping[str, tuple[str, int | None]]] = {
    "": (N_("Any date"), None),
    "0": (N_("Today"), 0),
    "1": (N_("Since yesterday"), 1),
    "7": (N_("Last 7 days"), 7),
    "31": (N_("Last 31 days"), 31),
}
"""What can be chosen: value → (words, days back from today)."""

MODALITIES: Final = ("CR", "CT", "DX", "MG", "MR", "NM", "PT", "RF", "US", "XA")
"""What is offered; any other can be typed."""

SENT: Final = "yes"
"""Of the field that asks for studies that were sent."""

FIELDS: Final[Mapping[str, str]] = {
    "name": N_("Patient name"),
    "patient": N_("Patient ID"),
    "born": N_("Birth date"),
    "span": N_("Study date"),
    "since": N_("From"),
    "until": N_("To"),
    "modality": N_("Modality"),
    "description": N_("Description"),
    "accession": N_("Accession number"),
    "physician": N_("Referring physician"),
    "sent": N_("Which studies"),
}
"""Field of the form → what people call it."""


@frozen
class StudySearch:
    """What somebody looks for; an empty text is no condition."""

    name: str = field(default="", repr=False)
    patient: str = field(default="", repr=False)
    born: str = field(default="", repr=False)
    span: str = ""
    since: str = ""
    until: str = ""
    modality: str = ""
    description: str = field(default="", repr=False)
    accession: str = field(default="", repr=False)
    physician: str = field(default="", repr=False)
    sent: str = ""
    """`SENT`: only studies that a hospital sent; which these are, each program knows."""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Self:
        """What a form says, as it was typed; fields that it does not have are empty."""
        return cls(**{name: form.get(name, "").strip()[: LONGEST + 1] for name in FIELDS})

    @property
    def is_empty(self) -> bool:
        """Whether it asks for all studies."""
        return self == type(self)()

    @property
    def is_sent(self) -> bool:
        """Whether it asks only for studies that were sent."""
        return self.sent == SENT

    @property
    def is_typed(self) -> bool:
        """Whether something was typed or chosen, beside which studies are listed."""
        return not evolve(self, sent="").is_empty

    @property
    def is_detailed(self) -> bool:
        """Whether it uses a field that the page keeps folded away."""
        return bool(self.since or self.until or self.description or self.physician or self.born)

    def keys(self, today: date) -> Json:
        """The query keys at study level.

        Args:
            today: the date here.

        Raises:
            UsageError: a field holds what no attribute can have; the text names it.
        """
        for name, words in FIELDS.items():
            value = str(getattr(self, name))
            if len(value) > LONGEST:
                raise UsageError(
                    _("%(field)s: at most %(count)s characters", field=said(words), count=LONGEST)
                )
            if "\\" in value or not value.isprintable():
                raise UsageError(_("%(field)s: without a backslash, please", field=said(words)))
        found = {
            "PatientName": name_pattern(self.name),
            "PatientID": self.patient,
            "PatientBirthDate": _day("Birth date", self.born),
            "StudyDate": self._dates(today),
            "ModalitiesInStudy": self.modality.upper(),
            "StudyDescription": _anywhere(self.description),
            "AccessionNumber": self.accession,
            "ReferringPhysicianName": name_pattern(self.physician),
        }
        return {tag(keyword): _entry(keyword, value) for keyword, value in found.items() if value}

    def _dates(self, today: date) -> str:
        since, until = _day("From", self.since), _day("To", self.until)
        if since and until and since > until:
            raise UsageError(_("From: must not be later than To"))
        if since or until:
            return f"{since}-{until}"
        if self.span not in SPANS:
            raise UsageError(_("Study date: choose one that is offered"))
        days = SPANS[self.span][1]
        return "" if days is None else f"{today - timedelta(days):%Y%m%d}-"


def name_pattern(typed: str) -> str:
    """A person's name as people type it, as a key with wild cards: ``Miller, Jo`` finds
    ``MILLER^JOHN``. Who types wild cards means what is typed."""
    if not typed or set("*?^") & set(typed):
        return typed
    parts = typed.replace(",", " ").split()
    return "*".join(parts) + "*" if parts else ""


def _anywhere(typed: str) -> str:
    return typed if not typed or set("*?") & set(typed) else f"*{typed}*"


def _day(words: str, typed: str) -> str:
    """A date as ``2024-01-31`` (what a browser sends) or ``20240131``, as DICOM writes it."""
    if not typed:
        return ""
    try:
        return f"{date.fromisoformat(typed):%Y%m%d}"
    except ValueError as error:
        raise UsageError(_("%(field)s: write a date as 2024-01-31", field=said(words))) from error


def _entry(keyword: str, value: str) -> dict[str, object]:
    vr = vr_of(tag(keyword)) or "LO"
    return entry(vr, name_groups(value) if vr == "PN" else value)
