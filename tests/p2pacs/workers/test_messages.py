import io
import os
import pickle
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import CodingError
from p2pacs.study.images import Coding
from p2pacs.workers.messages import (
    BESIDE_BYTES,
    CallBatch,
    CallFailure,
    CallOutcome,
    CallResult,
    Task,
    receive_batch,
    receive_outcomes,
    send,
)
from tests.p2pacs.workers import jobs

MOST = 10**6
HEAD = struct.Struct(">QQQ")


def sent(message: object, number: int = 7) -> io.BytesIO:
    pipe = io.BytesIO()
    send(pipe, number, message)
    pipe.seek(0)
    return pipe


values = st.recursive(
    st.none()
    | st.integers()
    | st.text()
    | st.binary(max_size=100)
    | st.integers(BESIDE_BYTES - 1, BESIDE_BYTES + 1).map(bytes),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=values)
def test_what_is_sent_is_received(value: Any) -> None:
    batch = CallBatch((Task(jobs.echo, (value,)),), 5)
    assert receive_batch(sent(batch)) == (7, batch)
    outcomes = [CallResult(value), CallResult(None)]
    assert receive_outcomes(sent(outcomes), 7, MOST) == outcomes


def test_instances_and_errors_come_back() -> None:
    instance = EncodedInstance("1.2", "1.3", "1.2.840.10008.1.2", os.urandom(100_000))
    outcomes: list[CallOutcome] = [CallResult(instance), CallFailure(CodingError("no"))]
    back = receive_outcomes(sent(outcomes), 7, MOST)
    assert back[0] == outcomes[0]
    failure = back[1]
    assert isinstance(failure, CallFailure)
    assert isinstance(failure.error, CodingError)
    assert str(failure.error) == "no"


def test_large_bytes_are_not_copied_into_the_pickle() -> None:
    data = os.urandom(100_000)
    raw = sent([CallResult(data)]).getvalue()
    number, pickled, count = HEAD.unpack_from(raw)
    assert (number, count) == (7, 1)
    assert pickled < 300
    assert raw.endswith(data)


class Evil:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        Evil(os.getpid),
        Evil(eval, "1"),
        Evil(getattr, "text", "upper"),
        Evil(getattr, Coding, "mro"),
        Evil(getattr, Coding, "__members__"),
        Evil(getattr, CodingError, "add_note"),
        Evil(pickle.loads, b""),
        Evil(EncodedInstance.from_part10, b""),
        Evil(receive_batch, None),
    ],
)
def test_a_worker_cannot_have_anything_called(value: Evil) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        receive_outcomes(sent([CallResult(value)]), 7, MOST)


@pytest.mark.parametrize("member", [Coding.SMALLEST, Coding.PROGRESSIVE])
def test_members_of_enums_come_back_as_every_python_pickles_them(member: Coding) -> None:
    """Debian 12's (3.11.2) does so by name, with ``getattr``; later ones by value."""
    for value in (member, Evil(getattr, Coding, member.name)):
        (outcome,) = receive_outcomes(sent([CallResult(value)]), 7, MOST)
        assert isinstance(outcome, CallResult)
        assert outcome.value is member


@given(raw=st.binary(max_size=200))
def test_nonsense_is_a_value_error(raw: bytes) -> None:
    pipe = io.BytesIO(HEAD.pack(7, len(raw), 0) + raw)
    with pytest.raises(ValueError, match="a worker"):
        receive_outcomes(pipe, 7, MOST)


@pytest.mark.parametrize("message", [[1], CallResult(1), None, {"a": CallResult(1)}])
def test_what_is_no_list_of_outcomes_is_refused(message: object) -> None:
    with pytest.raises(ValueError, match="other than outcomes"):
        receive_outcomes(sent(message), 7, MOST)


def test_the_answer_to_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="something else"):
        receive_outcomes(sent([CallResult(1)], number=6), 7, MOST)


@pytest.mark.parametrize(
    "raw",
    [
        HEAD.pack(7, 2**60, 0),
        HEAD.pack(7, 10, 2**60),
        HEAD.pack(7, 10, 1) + struct.pack(">Q", 2**62),
    ],
)
def test_too_much_is_refused_before_memory_is_taken(raw: bytes) -> None:
    with pytest.raises(ValueError, match="too much"):
        receive_outcomes(io.BytesIO(raw), 7, MOST)


@pytest.mark.parametrize("left", [0, 5, 24, 30])
def test_an_end_in_the_middle_is_an_end(left: int) -> None:
    raw = sent([CallResult(bytes(20_000))]).getvalue()[:left]
    with pytest.raises(EOFError):
        receive_outcomes(io.BytesIO(raw), 7, MOST)
