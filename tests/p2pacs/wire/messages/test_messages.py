import re
from pathlib import Path

import attrs
import pytest

from p2pacs.errors import P2PacsError
from p2pacs.wire.messages.messages import KINDS, NUMBERS, Message, Query, Reply


@pytest.mark.parametrize("kind", KINDS.values())
def test_messages_are_frozen_values(kind: type[Message]) -> None:
    assert attrs.has(kind)
    assert kind.__hash__ is not None
    assert NUMBERS[kind] == next(number for number, known in KINDS.items() if known is kind)


@pytest.mark.parametrize("kind", KINDS.values())
def test_queries_and_replies_begin_with_their_id(kind: type[Message]) -> None:
    first = attrs.fields(kind)[0].name
    assert (first == "id") == issubclass(kind, Query | Reply)


def test_every_query_has_a_reply_with_the_next_number() -> None:
    for number, kind in KINDS.items():
        if issubclass(kind, Query):
            assert issubclass(KINDS[number + 1], Reply)


def test_the_documentation_names_every_field_in_order() -> None:
    text = (Path(__file__).parents[4] / "docs" / "wire.md").read_text()
    listed = text.partition("\n## Messages")[2].partition("\n## Errors")[0]
    sections = re.split(r"^\*\*(\d+) ", listed, flags=re.MULTILINE)[1:]
    documented = {
        int(number): re.findall(r"^\| (\w+) \| (?!type)", section, flags=re.MULTILINE)
        for number, section in zip(sections[::2], sections[1::2], strict=True)
    }
    assert documented == {
        number: [field.name for field in attrs.fields(kind)] for number, kind in KINDS.items()
    }


def test_the_documentation_names_every_error() -> None:
    text = (Path(__file__).parents[4] / "docs" / "wire.md").read_text()
    documented = re.findall(r"^\| (\d+) \| (\w+) \|", text, flags=re.MULTILINE)
    kinds = [P2PacsError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    codes = {(str(kind.wire_code), kind.__name__) for kind in kinds if "wire_code" in vars(kind)}
    assert codes - set(documented) == set()
