import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.process.sparse_log import Sparse, SparseFilter


def test_one_kind_is_said_once_a_minute_with_how_often() -> None:
    sparse = Sparse()
    assert [sparse.lets("a", at) for at in (0.0, 1.0, 59.0, 60.0, 61.0)] == [0, None, None, 2, None]
    assert sparse.lets("b", 61.0) == 0


@given(st.lists(st.integers()))
def test_kinds_are_bounded(kinds: list[int]) -> None:
    sparse = Sparse()
    for kind in kinds * 10:
        sparse.lets(kind, 0.0)
    assert len(sparse) <= 256


def _record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("p2pacs.web", logging.ERROR, "file", 1, message, (), info)


def _raised(kind: type[Exception]) -> Exception:
    with pytest.raises(kind) as caught:
        raise kind
    return caught.value


def test_4000_tracebacks_of_one_error_are_two() -> None:
    seconds = 0.0
    sparse = SparseFilter(lambda: seconds)
    written = 0
    for number in range(4000):
        seconds = 60.0 if number == 3999 else 0.0
        record = _record("Error in ASGI Framework", _raised(KeyError))
        written += sparse.filter(record)
    assert written == 2
    assert "3998 more" in record.getMessage()
    assert sparse.filter(_record("Error in ASGI Framework", _raised(ValueError)))
    assert sparse.filter(_record("Error in ASGI Framework"))
    group = ExceptionGroup("nursery", [_raised(OSError)])
    assert sparse.filter(_record("Error in ASGI Framework", group))
    assert not sparse.filter(_record("Error in ASGI Framework", group))
