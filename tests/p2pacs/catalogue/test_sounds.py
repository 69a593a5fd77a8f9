import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.catalogue.matching import matcher, matches
from p2pacs.catalogue.sounds import sound, sounds, wanted_sounds


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        # Examples of the United States National Archives.
        ("Robert", "R163"), ("Rupert", "R163"), ("Rubin", "R150"), ("Ashcraft", "A261"),
        ("Tymczak", "T522"), ("Pfister", "P236"), ("Honeyman", "H555"), ("Jackson", "J250"),
        ("Washington", "W252"), ("Lee", "L000"), ("Gutierrez", "G362"), ("VanDeusen", "V532"),
        # Without accents and ligatures.
        ("Müller", "M460"), ("MUELLER", "M460"), ("Ørsted", "O623"), ("Łukasz", "L220"),
        ("Weiß", "W200"), ("Þór", "T600"),
        # What has no Latin letters is compared as it is.
        ("山田", "山田"), ("Иванов", "иванов"), ("2nd", "2nd"),
    ],
)  # fmt: skip
def test_soundex(word: str, expected: str) -> None:
    assert sound(word) == expected


def test_words_of_a_name() -> None:
    assert sounds("O'Neil^Anna-Maria=山田^太郎") == ["O000", "N400", "A500", "M600", "山田", "太郎"]


def test_wild_cards_at_the_ends_of_words_are_left_out() -> None:
    assert wanted_sounds("*Mill?*^*") == ["M400"]
    assert wanted_sounds("M?ller^Anna") is None
    assert wanted_sounds("*^?") is None


def fuzzy(key: str, name: str) -> bool:
    decide = matcher("PN", key, True)
    return decide is None or decide([name])


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        ("Maier^Anna", "MEYER^Hans^Anna", True),
        ("anna mayer", "Meier^Anna", True),
        ("Smith", "Smythe^Joe", True),
        ("Gonsales*", "González^María", True),
        ("Meyer^Anna", "Meyer^Berta", False),
        ("山田", "Yamada^Tarou=山田^太郎", True),
        ("Иванов", "ИВАНОВ^Пётр", True),
        ("M?yer", "Maier^Anna", False),
        ("M?yer*", "Meyer^Anna", True),
        ("Mill*", "Millerson^X", True),
        ("Smith\\Maier", "Meyer^Anna", True),
        ("*", "Meyer^Anna", True),
    ],
)
def test_names_that_sound_alike(key: str, name: str, expected: bool) -> None:
    assert fuzzy(key, name) is expected


def test_nothing_sounds_alike_unless_it_is_asked_for() -> None:
    assert not matches("PN", "Maier^Anna", ["Meyer^Anna"])


names = st.text(alphabet="abcmrAÉß山^= -'*?", max_size=10)


@given(names, names)
def test_fuzzy_matching_finds_all_that_literal_matching_finds(key: str, name: str) -> None:
    if matches("PN", key, [name]):
        assert fuzzy(key, name)


@given(st.text(max_size=12))
def test_every_word_sounds_like_itself(word: str) -> None:
    assert sound(word) == sound(word.casefold())
