"""Bring the catalogues of all languages in line with the texts that are marked: see
docs/translating.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from p2pacs.languages.choice import ENGLISH, LANGUAGES
from p2pacs.languages.texts import LOCALES

ROOT: Final = Path(__file__).parent.parent

KEYWORDS: Final = {
    "_": None,
    "N_": None,
    "Phrase": None,
    "gettext": None,
    "ngettext": (1, 2),
    "counted": (1, 2),
}

SETTINGS: Final = ("broker/config.py", "p2pacs/settings/tables.py")
"""Modules whose settings a page explains: the descriptions of their fields are texts."""

_MARKED: Final = ("p2pacs.languages", "p2pacs.phrases")

_NAMES: Final = {"es": "Spanish", "pt": "Portuguese", "de": "German"}

_PLURALS: Final = {
    "es": "nplurals=2; plural=(n != 1);",
    "pt": "nplurals=2; plural=(n > 1);",
    "de": "nplurals=2; plural=(n != 1);",
}

_PLACE: Final = re.compile(r"%(?:\((\w+)\)s|%)")


def main() -> int:
    """Write the catalogues: new texts come in, with nothing as their translation; those that are
    not used any more go. Says what is left to translate.

    Returns:
        0 if nothing is; else 1.
    """
    marked = marked_texts()
    left = 0
    for language in LANGUAGES:
        if language != ENGLISH:
            catalogue = updated(language, marked)
            write(language, catalogue)
            for problem in problems(catalogue):
                left += 1
                print(f"{language}: {problem}")
    print(f"{len(marked)} texts; {left} left to translate" if left else f"{len(marked)} texts")
    return 1 if left else 0


def marked_texts() -> dict[str, tuple[str, ...]]:
    """All texts that are marked in the programs: by the first form, all forms of each."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sources():
        method = "jinja2.ext:babel_extract" if path.suffix == ".html" else "python"
        options = {"trimmed": "true", "silent": "false"} if path.suffix == ".html" else {}
        with path.open("rb") as file:
            for _line, said, _comments, _context in extract(
                method, file, keywords=KEYWORDS, options=options
            ):
                forms = (said,) if isinstance(said, str) else tuple(said)
                if forms[0] and len(forms) >= len(found.get(forms[0], ())):
                    found[forms[0]] = forms
    found |= {
        text: (text,) for path in SETTINGS for text in descriptions((ROOT / path).read_text())
    }
    return found


def descriptions(source: str) -> Iterator[str]:
    """What a module says of the fields of its settings."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Field"
        ):
            for keyword in node.keywords:
                if keyword.arg == "description":
                    yield str(ast.literal_eval(keyword.value))


def sources() -> Iterator[Path]:
    """All templates of the programs, and all modules that mark texts."""
    for top in ("p2pacs", "peer", "broker"):
        yield from sorted((ROOT / top).rglob("*.html"))
        for path in sorted((ROOT / top).rglob("*.py")):
            if any(one in path.read_text() for one in _MARKED):
                yield path


def path_of(language: str) -> Path:
    """The file of a catalogue."""
    return LOCALES / language / "LC_MESSAGES" / "p2pacs.po"


def stored(language: str) -> Catalog:
    """A catalogue as it is on disk; an empty one if there is none."""
    path = path_of(language)
    if not path.exists():
        return Catalog()
    with path.open("rb") as file:
        return read_po(file)


def updated(language: str, marked: dict[str, tuple[str, ...]]) -> Catalog:
    """The texts that are marked, with the translations that there are."""
    before = stored(language)
    after = Catalog(fuzzy=False)  # with two forms, as the head says
    for forms in sorted(marked.values()):
        known = before.get(forms[0])
        given = _forms(known.string) if known is not None else ()
        padded = (*given, "", "")[: len(forms)]
        after.add(*((forms, padded) if len(forms) > 1 else (forms[0], padded[0])))
    return after


def write(language: str, catalogue: Catalog) -> None:
    """Write a catalogue: sorted, without dates and line numbers, so that changes are few."""
    body = BytesIO()
    write_po(body, catalogue, width=100, no_location=True, omit_header=True)
    path = path_of(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_head(language).encode() + body.getvalue())


def _head(language: str) -> str:
    return (
        f"# {_NAMES[language]} texts of the pages of p2pacs. See docs/translating.md.\n"
        'msgid ""\n'
        'msgstr ""\n'
        f'"Language: {language}\\n"\n'
        f'"Plural-Forms: {_PLURALS[language]}\\n"\n'
        '"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n\n'
    )


def problems(catalogue: Catalog) -> Iterator[str]:
    """What is wrong with translations: missing, in doubt, or with other places for values."""
    for message in catalogue:
        if message.id:
            yield from _problems(message)


def _forms(text: object) -> tuple[str, ...]:
    """The forms of a text, or the only one."""
    return (text,) if isinstance(text, str) else tuple(text) if isinstance(text, tuple) else ()


def _problems(message: Message) -> Iterator[str]:
    asked, given = _forms(message.id), _forms(message.string)
    if message.fuzzy:
        yield f"in doubt: {asked[0]}"
    if len(given) < len(asked) or not all(given):
        yield f"not translated: {asked[0]}"
        return
    wanted = places(asked[-1])
    for one in given:
        # The form for one thing may say it without the number.
        if places(one) - {"num"} != wanted - {"num"} or (len(asked) == 1 and "num" in wanted):
            yield f"other places for values: {one}"


def places(text: str) -> set[str]:
    """The names of the values in a text.

    Raises:
        ValueError: a per cent sign that is neither doubled nor begins a place.
    """
    found = {one[1] for one in _PLACE.finditer(text) if one[1]}
    if "%" in _PLACE.sub("", text):
        raise ValueError(f"a single per cent sign: {text}")
    return found


if __name__ == "__main__":
    sys.exit(main())
