import pytest
import trio

from p2pacs.concurrency.groups import first_error, single_error


async def _fail(error: Exception) -> None:
    raise error


async def _nursery(*errors: Exception) -> None:
    with single_error():
        async with trio.open_nursery() as nursery:
            for error in errors:
                nursery.start_soon(_fail, error)


async def test_one_error_comes_out_as_it_was_raised() -> None:
    with pytest.raises(KeyError):
        await _nursery(KeyError("a"))


async def test_several_stay_a_group() -> None:
    with pytest.raises(ExceptionGroup):
        await _nursery(KeyError("a"), ValueError("b"))


def test_the_first_error_is_found_in_groups_of_groups() -> None:
    error = OSError("first")
    group = ExceptionGroup("", [ExceptionGroup("", [error, OSError("second")]), OSError("third")])
    assert first_error(group) is error
