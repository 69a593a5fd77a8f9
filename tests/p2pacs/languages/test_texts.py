import subprocess
import sys
from pathlib import Path

import pytest

from p2pacs.languages import LANGUAGES, N_, _, ngettext, said, speaking
from p2pacs.languages.texts import load, read_catalogue

HEAD = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""


def test_english_needs_no_catalogue() -> None:
    assert _("%(part)s of %(whole)s, 100 %%", part=1, whole=2) == "1 of 2, 100 %"
    assert ngettext("%(num)s study", "%(num)s studies", 1) == "1 study"
    assert ngettext("%(num)s study", "%(num)s studies", 12345) == "12,345 studies"
    assert N_("Studies") == "Studies"


def test_texts_come_in_the_language_of_the_request() -> None:
    with speaking("de"):
        assert _("Language") == "Sprache"
        assert said("Language") == "Sprache"
        assert said("of nobody's catalogue: 100 %") == "of nobody's catalogue: 100 %"
        assert said("") == ""  # not the head of the file, which has this name in it
    assert _("Language") == "Language"


def test_a_catalogue_is_read_as_translators_write_it(tmp_path: Path) -> None:
    file = tmp_path / "p2pacs.po"
    file.write_text(
        HEAD
        + 'msgid "%(num)s image"\nmsgid_plural "%(num)s images"\n'
        + 'msgstr[0] "%(num)s Bild"\nmsgstr[1] "%(num)s Bilder"\n\n'
        + '#, fuzzy\nmsgid "in doubt"\nmsgstr "vielleicht"\n'
    )
    found = read_catalogue(file, "de")
    assert found.ngettext("%(num)s image", "%(num)s images", 2) == "%(num)s Bilder"
    assert found.gettext("in doubt") == "in doubt"
    assert found.gettext("not there") == "not there"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_catalogue(language: str) -> None:
    load()
    with speaking(language):
        assert (_("Language") == "Language") is (language == "en")


def test_where_nobody_asks_for_pages_nothing_of_babel_is_in_memory() -> None:
    code = (
        "import sys, p2pacs.pages.app, p2pacs.languages.formats\nsys.exit('babel' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
