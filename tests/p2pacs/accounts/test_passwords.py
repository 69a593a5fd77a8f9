import unicodedata

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.accounts.passwords import SHORTEST, check_account, prepared
from p2pacs.errors import UsageError
from tests.p2pacs.accounts.conftest import CHEAP

PASSWORD = "a password of some length"


def test_nobody_has_no_password() -> None:
    assert not CHEAP.matches(None, "nobody's password")
    assert not CHEAP.matches("no hash", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password"),
    [("", PASSWORD), (" a", PASSWORD), ("a\n", PASSWORD), ("a", "short"), ("a", "x" * 1025)],
)
def test_accounts_that_cannot_be(name: str, password: str) -> None:
    with pytest.raises(UsageError):
        check_account(name, password)


# ---------------------------------------------------------------- whatever keyboard it was typed on

TEXTS = st.text(st.sampled_from("aÅÄéñ가ﬁ①  　\u0301\u212b"), min_size=1, max_size=6)


@given(TEXTS)
def test_a_password_is_prepared_as_rfc_8265_says(typed: str) -> None:
    once = prepared(typed)
    assert prepared(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert {one for one in once if unicodedata.category(one) == "Zs"} <= {" "}
    for form in ("NFC", "NFD"):
        assert prepared(unicodedata.normalize(form, typed)) == once


def test_what_looks_alike_and_is_another_password_stays_one() -> None:
    assert prepared("\u212b") == prepared("A\u030a") == "Å"
    assert prepared("a\u3000b\u00a0c") == "a b c"
    assert prepared("ﬁ①²") == "ﬁ①²", "no compatibility mapping"
    assert prepared("Straße ") == "Straße ", "neither case nor ends are touched"


@pytest.mark.parametrize("hashed", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_a_password_matches_on_every_system(hashed: str, typed: str) -> None:
    password = "Grüße aus Ålesund"
    stored = CHEAP.hash(unicodedata.normalize(hashed, password))
    assert CHEAP.matches(stored, unicodedata.normalize(typed, password))
    assert not CHEAP.matches(stored, "Gruße aus Ålesund")
    assert not CHEAP.matches(None, password)


@pytest.mark.parametrize("hashed", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_hashes_of_before_match_still(hashed: str, typed: str) -> None:
    """They were made of what was typed."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    password = "Grüße aus Ålesund"
    stored = hasher.hash(unicodedata.normalize(hashed, password))
    assert CHEAP.matches(stored, unicodedata.normalize(typed, password))
    odd = hasher.hash("spaces\u3000of another kind")
    assert CHEAP.matches(odd, "spaces\u3000of another kind")


def test_letters_are_counted_whatever_they_are_made_of() -> None:
    check_account("a", "é" * SHORTEST)
    with pytest.raises(UsageError):
        check_account("a", unicodedata.normalize("NFD", "é" * (SHORTEST - 1)))
