"""Settings that may be changed in the browser: what they are, and what was typed. Pure.

Only what decides how much is used and where studies go; what could cut somebody off from these
pages, or let others in, stands in peer.toml alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from pydantic import ValidationError

from p2pacs.errors import UsageError
from p2pacs.languages import N_, _, said
from p2pacs.phrases import Phrase
from p2pacs.settings.reading import in_words
from p2pacs.units import Endpoint
from peer.config import DestinationSettings, PeerSettings

_WORDS: Final = {"convert": "when needed", "never": "never"}
"""What may stand behind a workstation: the word here, and in peer.toml."""


@frozen
class SettingField:
    """A field of the form."""

    name: str
    words: str
    hint: str
    value: str
    lines: bool = False


def setting_fields(
    settings: PeerSettings, typed: Mapping[str, str] | None = None
) -> list[SettingField]:
    """The fields with what is set, or with what was typed."""
    written = settings.model_dump(mode="json")
    now = {
        "destinations": _destinations(settings),
        "uplink": written["line"]["uplink"] or "",
        "downlink": written["line"]["downlink"] or "",
        "capacity": written["store"]["capacity"] or "",
    }
    shown = {**now, **(typed or {})}
    return [
        SettingField(name, said(words), said(hint), shown[name], lines=name == "destinations")
        for name, words, hint in _FIELDS
    ]


_FIELDS: Final = (
    (
        "destinations",
        N_("Workstations"),
        N_(
            "One a line: AE title, address and port, as in VIEWER1 192.168.1.20:104. Studies can be"
            " sent to these. With the word convert at the end, images that the workstation does not"
            " accept as they are stored are decoded for it, without loss; with never, none are"
            " changed in any way."
        ),
    ),
    (
        "uplink",
        N_("Uplink"),
        N_(
            "How much of the line out of here p2pacs may use: 800kbit, 3mbit, or measured for as"
            " much as leaves others room. Empty: all of it."
        ),
    ),
    (
        "downlink",
        N_("Downlink"),
        N_("How much of the line into here it may use. Empty: all of it."),
    ),
    (
        "capacity",
        N_("Storage"),
        N_(
            "How much studies may take on disk, as in 500GB. Studies not used for longest are let"
            " go before. Empty: until the disk is full."
        ),
    ),
)


def changed_settings(settings: PeerSettings, typed: Mapping[str, str]) -> PeerSettings:
    """The settings with what was typed.

    Raises:
        UsageError: a value that cannot be; the text names the field.
    """
    wanted: dict[str, Any] = settings.model_dump(mode="json", exclude_none=True)
    destinations = _parse_destinations(typed.get("destinations", ""), settings)
    wanted.setdefault("gateway", {})["destinations"] = destinations
    for table, name in (("line", "uplink"), ("line", "downlink"), ("store", "capacity")):
        value = typed.get(name, "").strip()
        wanted.setdefault(table, {})[name] = value or None
    try:
        return PeerSettings.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][-1]) if first["loc"] else ""
        words = next((words for name, words, _hint in _FIELDS if name in first["loc"]), where)
        wrong = Phrase("%(field)s: %(why)s", field=Phrase(words), why=in_words(first))
        raise UsageError(wrong) from error


def _parse_destinations(typed: str, settings: PeerSettings) -> dict[str, Any]:
    """Workstations; what is set of one besides, such as TLS, stays."""
    before = settings.gateway.destinations
    found: dict[str, Any] = {}
    for line in typed.splitlines():
        parts = line.split()
        if not parts:
            continue
        if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in _WORDS):
            raise UsageError(_("Workstations: write each as VIEWER1 192.168.1.20:104"))
        Endpoint.parse(parts[1])
        found[parts[0]] = {**_kept(before.get(parts[0])), "address": parts[1]}
        if len(parts) == 3:
            found[parts[0]]["transcode"] = _WORDS[parts[2]]
    return found


def _kept(before: DestinationSettings | None) -> dict[str, Any]:
    if before is None:
        return {}
    kept = before.model_fields_set - {"address", "transcode"}
    return {name: getattr(before, name) for name in kept}


def _destinations(settings: PeerSettings) -> str:
    words = {value: word for word, value in _WORDS.items()}
    return "\n".join(
        f"{aet} {one.address} {words.get(one.transcode, '')}".rstrip()
        for aet, one in settings.gateway.destinations.items()
    )
