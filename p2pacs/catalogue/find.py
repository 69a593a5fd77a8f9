"""C-FIND over catalogue records: the hierarchical search of PS3.4 C.4.1.3.1, pure.

An answer holds the keys that were asked for, the unique keys down to the level,
and nothing else; the caller adds from where to retrieve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydicom.dataset import Dataset

from p2pacs.catalogue.matching import matcher
from p2pacs.catalogue.question import UNIQUE, Question, Root, upto
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import views
from p2pacs.dataset.from_json import to_dataset
from p2pacs.dataset.json_model import Json, entry, texts

Test = Callable[[Json], bool]


def find(records: Iterable[StudyRecord], identifier: Dataset, root: Root) -> Iterator[Dataset]:
    """Answer a query at PATIENT, STUDY, SERIES or IMAGE level.

    Args:
        records: studies that may match (`CatalogueIndex.candidates` narrows them); with series
            and instances where the query is at their level.
        identifier: Query/Retrieve Level (0008,0052) and keys.
        root: information model.

    Raises:
        UsageError: the identifier is invalid (status 0xA900); at once, before any answer.
    """
    question = Question.parse(identifier, root)
    tests = key_tests(question.keys)
    unique = [UNIQUE[name] for name in upto(question.level) if name != "PATIENT"]
    if root == "PATIENT":
        unique.append(UNIQUE["PATIENT"])
    return (
        _answer(view, question, unique)
        for view in views(records, question.level)
        if all(test(view) for test in tests)
    )


def key_tests(keys: Json) -> list[Test]:
    """What an entity's attributes must pass; keys without a value ask for nothing."""
    tests = []
    for key, wanted in keys.items():
        if wanted["vr"] == "SQ":
            items = [inner for item in wanted.get("Value", ()) if (inner := key_tests(item))]
            if items:
                tests.append(_sequence_test(key, items[0]))
        elif decide := matcher(wanted["vr"], "\\".join(texts(keys, key))):
            tests.append(_value_test(key, decide))
    return tests


def _value_test(key: str, decide: Callable[[list[str]], bool]) -> Test:
    return lambda view: decide(texts(view, key))


def _sequence_test(key: str, inner: list[Test]) -> Test:
    """Sequence matching (PS3.4 C.2.2.2.6): one item that passes all keys of the item."""

    def test(view: Json) -> bool:
        items = view.get(key, {}).get("Value", ())
        return any(all(check(item) for check in inner) for item in items)

    return test


def _answer(view: Json, question: Question, unique: list[str]) -> Dataset:
    chosen = {key: _returned(view.get(key), wanted) for key, wanted in question.keys.items()}
    chosen |= {key: view[key] for key in unique if key in view}
    answer = to_dataset(chosen)
    answer.QueryRetrieveLevel = question.level
    return answer


def _returned(held: dict[str, Any] | None, wanted: dict[str, Any]) -> dict[str, Any]:
    """What comes back for one key: empty if not held; of items, the keys asked for."""
    if held is None:
        return entry(wanted["vr"])
    keys = next((set(item) for item in wanted.get("Value", ()) if wanted["vr"] == "SQ"), None)
    if not keys:
        return held
    items = [{key: item[key] for key in item if key in keys} for item in held.get("Value", ())]
    return entry("SQ", *items)
