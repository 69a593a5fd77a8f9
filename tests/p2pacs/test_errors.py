import re

import pytest

from p2pacs import errors
from p2pacs.errors import P2PacsError


def tree(kind: type[P2PacsError]) -> list[type[P2PacsError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in tree(child))]


ALL = [kind for kind in tree(P2PacsError) if kind.__module__ == "p2pacs.errors"]


def test_wire_codes_are_unique() -> None:
    codes = [kind.wire_code for kind in ALL]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", ALL)
def test_translations_are_in_range(kind: type[P2PacsError]) -> None:
    assert 1 <= kind.exit_code <= 125  # 126 and above belong to the shell
    assert 400 <= kind.http_status <= 599
    assert 0 < kind.dicom_status <= 0xFFFF


def test_the_drawing_names_every_error_in_its_place() -> None:
    drawn = re.findall(r"^    ([│ ]*)[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)
    path: list[str] = ["P2PacsError"]
    for indent, name in drawn:
        depth = len(indent) // 4 + 1
        del path[depth:]
        assert getattr(errors, name).__bases__[0].__name__ == path[-1]
        path.append(name)
    assert {name for _, name in drawn} == {kind.__name__ for kind in ALL[1:]}


def test_a_report_names_kind_and_message() -> None:
    assert errors.report(errors.BusyError("later")) == {
        "error": "BusyError",
        "message": "later",
        "transient": True,
    }


def test_the_first_error_of_a_group() -> None:
    busy = errors.BusyError("later")
    assert errors.first_of(busy) is busy
    group = ExceptionGroup("a", [ValueError(), ExceptionGroup("b", [busy])])
    assert errors.first_of(group) is busy
    assert errors.first_of(ExceptionGroup("a", [ValueError()])) is None
