"""Every text of the pages is marked, and translated into every language."""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from jinja2 import Environment, nodes

from p2pacs.languages.choice import ENGLISH, LANGUAGES
from scripts.translate import marked_texts, path_of, places, problems, sources, stored, updated
from tests.scripts.unmarked_python import unmarked_python

ROOT = Path(__file__).parent.parent.parent

MARKS = {"_", "gettext", "ngettext"}

NO_TEXT = {
    "p2pacs",
    "· p2pacs",
    "-hint",
    '-wrong" aria-invalid="true"',
    'aria-describedby="',
    "period=",
    "&member=",
    "&study=",
}
"""What is seen and is in no language; pieces of attributes that macros write."""

TEMPLATES = [path.relative_to(ROOT).as_posix() for path in sources() if path.suffix == ".html"]


@cache
def marked() -> dict[str, tuple[str, ...]]:
    return marked_texts()


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {ENGLISH}))
def test_every_marked_text_is_translated(language: str) -> None:
    catalogue = stored(language)
    assert {one.id[0] if isinstance(one.id, tuple) else one.id for one in catalogue if one.id} == (
        set(marked())
    ), "run scripts/translate"
    assert list(problems(updated(language, marked()))) == []


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {ENGLISH}))
def test_a_catalogue_names_its_plurals(language: str) -> None:
    assert "Plural-Forms: nplurals=2;" in path_of(language).read_text()


def test_what_is_wrong_is_found() -> None:
    catalogue = Catalog(locale="de")
    catalogue.add("nothing", "")
    catalogue.add("in doubt", "vielleicht", flags=["fuzzy"])
    catalogue.add("%(a)s here", "%(b)s hier")
    catalogue.add(("%(num)s of it", "%(num)s of them"), ("eines", "%(num)s"))
    catalogue.add(("one", "%(num)s more"), ("eines", ""))
    assert list(problems(catalogue)) == [
        "not translated: nothing",
        "in doubt: in doubt",
        "other places for values: %(b)s hier",
        "not translated: one",
    ]


def test_places_of_values() -> None:
    assert places("%(a)s of %(b)s: 100 %%") == {"a", "b"}
    with pytest.raises(ValueError, match="single"):
        places("100 %")


# ------------------------------------------------------------ texts in modules

PAGES = ("broker/pages", "peer/pages", "p2pacs/pages")

REFUSING = (
    "broker/access",
    "broker/admins",
    "broker/database/pacs_state.py",
    "broker/health.py",
    "broker/members",
    "broker/registration",
    "broker/trail",
    "p2pacs/accounts",
    "p2pacs/process/health.py",
    "p2pacs/ids.py",
    "p2pacs/units.py",
    "p2pacs/settings",
    "p2pacs/web/answers.py",
    "p2pacs/web/guard.py",
    "p2pacs/web/numbers.py",
    "peer/accounts",
    "peer/sending",
)
"""What else can be read on a page."""

NO_PAGE = {
    "broker/members/enrolment.py",  # told over the wire, to a program
    "p2pacs/pages/site_certificate.py",  # told when the program starts
    "peer/pages/serving.py",  # the name of an authority
    "peer/pages/study/study_archive.py",  # a file
}


@pytest.mark.parametrize("top", [*PAGES, *REFUSING])
def test_every_sentence_of_a_module_is_marked(top: str) -> None:
    place = ROOT / top
    assert place.exists()
    found = [
        f"{name}:{one}"
        for path in ([place] if place.is_file() else sorted(place.rglob("*.py")))
        if (name := path.relative_to(ROOT).as_posix()) not in NO_PAGE
        for one in unmarked_python(path.read_text(), page=top in PAGES)
    ]
    assert found == []


def test_a_sentence_that_is_not_marked_is_found() -> None:
    module = (
        'raise UsageError(f"no such {thing}")\n'
        'raise StateError("a" if x else Phrase("fine"))\n'
        'HealthCheck(_("Fine"), state, "Not fine.")\n'
        'shown = f"{count} images are here"\n'
        "said = f\"{_('lost')}\"\n"
        'log.info(f"{x}={y}")\n'
    )
    found = list(unmarked_python(module, page=True))
    assert sorted({one.partition(":")[0] for one in found}) == ["1", "2", "3", "4", "5"]
    assert len(list(unmarked_python(module, page=False))) == 4


# ------------------------------------------------------------ texts of templates


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_text_that_is_seen_is_marked(template: str) -> None:
    assert unmarked((ROOT / template).read_text()) == []


def test_a_text_that_is_not_marked_is_found() -> None:
    template = (
        '<p title="A title">Hello {{ name }}</p>{% trans %}fine{% endtrans %}{{ _("Fine") }}'
        '{{ "Go on" if x else _("Fine") }}{{ row.text("PatientName") }}<code>rm</code>'
        '<tr data-labels="{{ _("Fine") }}|Coarse">'
    )
    assert unmarked(template) == ["A title", "Go on", "Hello", "|Coarse"]


def unmarked(template: str) -> list[str]:
    tree = Environment(autoescape=True, extensions=["jinja2.ext.i18n"]).parse(template)
    seen = _Seen()
    seen.feed("".join(_data(tree)))
    seen.close()
    return sorted({*seen.texts, *_literals(tree)} - NO_TEXT)


def _data(tree: nodes.Node) -> Iterator[str]:
    """The template without its expressions."""
    for part in tree.iter_child_nodes():
        if isinstance(part, nodes.TemplateData):
            yield part.data
        elif isinstance(part, nodes.Expr):
            yield "\0" if isinstance(tree, nodes.Output) else ""
        else:
            yield from _data(part)


def _literals(tree: nodes.Node) -> Iterator[str]:
    """Texts in expressions that read as words of people, and are not marked."""
    for part in tree.iter_child_nodes():
        if isinstance(part, nodes.Call):
            named: Any = part.node
            if getattr(named, "name", "") in MARKS or getattr(named, "attr", "") == "text":
                continue
        if isinstance(part, nodes.Const) and isinstance(part.value, str):
            if re.match(r"[A-Z][a-z]+", part.value.strip()):
                yield part.value.strip()
        else:
            yield from _literals(part)


class _Seen(HTMLParser):
    """What somebody sees or hears of a page."""

    SAID = ("alt", "aria-label", "data-label", "data-labels", "placeholder", "title")
    SILENT = ("code", "script", "style")

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in self.SILENT
        for name, value in attrs:
            if name in self.SAID:
                self._see(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self.SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._see(data)

    def _see(self, text: str) -> None:
        for part in re.split("\0|\n", text):
            if re.search(r"[^\W\d_]", part):
                self.texts.append(part.strip())
