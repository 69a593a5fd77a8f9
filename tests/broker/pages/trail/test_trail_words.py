import re
from pathlib import Path

from broker.pages.trail.trail_words import WHATS, outcome_words, what_words

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
