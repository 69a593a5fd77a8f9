"""Attribute matching of PS3.4 C.2.2.2, pure: text in, decision out.

A key is universal (empty), a single value, a list, has wild cards, or is a
range of dates or times. What it is follows from its VR and its text alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from p2pacs.catalogue import times
from p2pacs.catalogue.sounds import sounds, wanted_sounds
from p2pacs.dataset.json_model import SINGLE_VRS

Matcher = Callable[[Sequence[str]], bool]
"""Whether an attribute with these values (none: absent or empty) matches."""

WILD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""VRs in whose keys ``*`` and ``?`` are wild cards (PS3.4 C.2.2.2.4)."""

_NUMBER_VRS: Final = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_NAME_COMPONENTS: Final = 5
_GROUPS: Final = 3


@lru_cache(maxsize=4096)
def matcher(vr: str, key: str, fuzzy: bool = False) -> Matcher | None:
    """What decides on an attribute of this VR, or None if every value matches (universal).

    Args:
        vr: value representation, two letters.
        key: the key's text; several values are separated by backslashes, and any of them
            may match (PS3.4 asks this of UIDs; for others it is the usual courtesy).
        fuzzy: whether names that sound alike match, too (`p2pacs.catalogue.sounds`).
    """
    parts = [key] if vr in SINGLE_VRS else key.split("\\")
    alternatives = [part.strip(" \0") for part in parts]
    alternatives = [part for part in alternatives if part]
    if not alternatives or any(map(is_any, alternatives)):
        return None
    tests = [_test(vr, part) for part in alternatives]
    if fuzzy and vr == "PN":
        tests += [_sound_test(wanted) for part in alternatives if (wanted := wanted_sounds(part))]
    return lambda values: any(test(value) for value in values for test in tests)


def is_any(key: str) -> bool:
    """Whether a key is ``*`` alone, as some write it for dates and UIDs, too."""
    return set(key) == {"*"}


def matches(vr: str, key: str, values: Iterable[str]) -> bool:
    """Whether an attribute with these values matches the key."""
    decide = matcher(vr, key)
    return decide is None or decide(list(values))


def _test(vr: str, key: str) -> Callable[[str], bool]:
    if vr == "PN":
        return _name_test(key)
    if vr in times.KINDS:
        return times.overlap_test(vr, key)
    if vr in _NUMBER_VRS:
        wanted = _number(key)
        return lambda value: _number(value) == wanted
    if vr in WILD_VRS:
        pattern = wild_pattern(key)
        return lambda value: pattern.fullmatch(value) is not None
    return lambda value: value == key


def _number(value: str) -> Decimal | str:
    try:
        return Decimal(value)
    except InvalidOperation:
        return value


@lru_cache(maxsize=1024)
def wild_pattern(key: str) -> re.Pattern[str]:
    """A key with wild cards as a regular expression.

    What stands between two asterisks is looked for once, from the left (an atomic group): else a
    key of thirty asterisks is tried in more ways than there is time for.
    """
    first, *others = (_fixed(part) for part in re.split(r"\*+", key))
    if not others:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{middle}.*{others[-1]}", re.DOTALL)


def _fixed(part: str) -> str:
    return "".join("." if char == "?" else re.escape(char) for char in part)


# ---------------------------------------------------------------- person names


def fold(name: str) -> str:
    """A name without regard to case: characters map one to one; accents stay.

    Composed and decomposed accents are the same (Unicode NFC).
    """
    composed = unicodedata.normalize("NFC", name)
    return "".join(low if len(low := char.casefold()) == 1 else char for char in composed)


def name_groups(name: str) -> list[str]:
    """The component groups of a folded name, each without trailing empty components."""
    groups = [_trim(group) for group in fold(name).split("=")]
    return (groups + [""] * _GROUPS)[:_GROUPS]


def _trim(group: str) -> str:
    return "^".join(component.strip(" ") for component in group.split("^")).rstrip("^")


def _pad(group: str) -> str:
    return group + "^" * max(_NAME_COMPONENTS - 1 - group.count("^"), 0)


def _name_test(key: str) -> Callable[[str], bool]:
    """A key without ``=`` may match any component group, else each group its own."""
    wanted = [_group_test(group) if group else None for group in name_groups(key)]
    if "=" not in key:
        only = wanted[0]
        return lambda name: only is None or any(only(g) for g in name_groups(name) if g)
    return lambda name: all(
        test is None or test(group) for test, group in zip(wanted, name_groups(name), strict=True)
    )


def _group_test(group: str) -> Callable[[str], bool]:
    """Both forms are tried: ``Doe^J*`` against ``doe^john``, ``Doe^*`` against ``doe^^^^``."""
    pattern = wild_pattern(group)
    return lambda name: bool(pattern.fullmatch(name) or pattern.fullmatch(_pad(name)))


def _sound_test(wanted: list[str]) -> Callable[[str], bool]:
    return lambda name: set(wanted) <= set(sounds(name))
