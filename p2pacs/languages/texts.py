"""Texts in the language of the request: ``_`` and ``ngettext``, as gettext's users know them.

The English text is its own name in the catalogues: ``_("Page %(number)s", number=3)``. Where texts
are listed before it is known who reads them, ``N_`` marks them, and `said` translates.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from p2pacs.languages import formats
from p2pacs.languages.choice import ENGLISH, LANGUAGES, current
from p2pacs.languages.formats import whole
from p2pacs.phrases import Moment, Phrase
from p2pacs.units import ByteCount

LOCALES: Final = Path(__file__).parent / "locales"
"""The catalogues: ``<language>/LC_MESSAGES/p2pacs.po``."""


def _(text: str, /, **values: object) -> str:
    """A text, with these values in place of ``%(name)s``; a per cent sign is written ``%%``."""
    return said(text) % values


def ngettext(one: str, many: str, number: int, /, **values: object) -> str:
    """A text that depends on a number, which it has as ``%(num)s``."""
    return plural(one, many, number) % {"num": whole(number), **values}


def plural(one: str, many: str, number: int) -> str:
    """The form of a text that a number takes; its values are not in it yet."""
    return catalogue(current()).ngettext(one, many, number)


def N_(text: str, /) -> str:  # noqa: N802 - gettext's users know it by this name
    """Marks a text that `said` translates when it is known for whom."""
    return text


def said(text: str) -> str:
    """A text that was marked elsewhere, or a phrase; one that is neither comes as it is."""
    if not isinstance(text, Phrase):
        return catalogue(current()).gettext(text) if text else ""
    known = catalogue(current())
    if text.many is None:
        form = known.gettext(text.text)
    else:
        form = known.ngettext(text.text, text.many, text.number)
    return form % {name: _value(name, value) for name, value in text.values.items()}


def _value(name: str, value: object) -> object:
    if isinstance(value, str):
        return said(value) if isinstance(value, Phrase) else value
    if isinstance(value, Moment):
        return f"{formats.minute(value.milliseconds)} UTC"
    if isinstance(value, ByteCount):
        return formats.size(value.bytes)
    return whole(value) if name == "num" and isinstance(value, int) else value


@cache
def catalogue(language: str) -> NullTranslations:
    """The texts of a language."""
    if language == ENGLISH:
        return NullTranslations()
    return read_catalogue(LOCALES / language / "LC_MESSAGES" / "p2pacs.po", language)


def read_catalogue(path: Path, language: str) -> NullTranslations:
    """The texts of a file as translators write it."""
    # Here: a program without pages spares the memory (10 MB) and the time (a tenth of a second).
    from babel.messages.mofile import write_mo  # noqa: PLC0415
    from babel.messages.pofile import read_po  # noqa: PLC0415

    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def load() -> None:
    """Read all catalogues, in a worker thread, before the first page is asked for."""
    for language in LANGUAGES:
        catalogue(language)
