import re
from pathlib import Path

import pytest

from broker.pages.trail.trail_words import WHATS, entry_detail, outcome_words, what_words
from broker.trail.audit import Entry
from p2pacs.languages import speaking

ROOT = Path(__file__).parents[4]


def test_all_that_is_written_down_has_words() -> None:
    written = re.compile(
        r"(?:Entry\(\s*|what=|_record\(connection, |GRANTED = |ENTRUSTED = |"
        r'REPLICATED = )"([a-z][a-z -]+)"'
    )
    found = {
        what
        for path in (ROOT / "broker").rglob("*.py")
        for what in written.findall(path.read_text())
    }
    assert "member revoked" in found
    assert found - set(WHATS) == set()


def test_what_is_not_known_is_shown_as_it_is() -> None:
    assert what_words("tea made") == "tea made"
    assert outcome_words("odd") == "odd"


@pytest.mark.parametrize(
    ("what", "detail", "german"),
    [
        (
            "study read",
            "C-MOVE to WS1 by VIEWER: 3 of 5 instances",
            "C-MOVE an WS1 durch VIEWER: 3 von 5 Instanzen",
        ),
        ("study read", "by command, stat", "durch Befehl, STAT"),
        (
            "study read",
            "looked at on the page by anna (its clock said 2031-01-01T00:00:00Z, 5)",
            "auf der Seite angesehen durch anna (seine Uhr zeigte 2031-01-01T00:00:00Z, 5)",
        ),
        ("study published", "nothing is missing any more", "es fehlt nichts mehr"),
        ("role set", "anna: auditor", "anna: Revision"),
        (
            "member corrected",
            "North: uplink: no limit → 800kbit; role: hospital → replica",
            "North: Uplink: keine Grenze → 800kbit; Rolle: Krankenhaus → Replikat",
        ),
        (
            "member joined",
            "wrong token (3 times of late)",
            "falsches Token (3-mal in letzter Zeit)",
        ),
        ("audit exported", "all of it", "alles"),
        ("member revoked", "all of it", "all of it"),  # a member's name
    ],
)
def test_details_are_said_in_the_readers_language(what: str, detail: str, german: str) -> None:
    entry = Entry(what, "x", detail=detail)
    assert entry_detail(entry) == detail
    with speaking("de"):
        assert entry_detail(entry) == german
