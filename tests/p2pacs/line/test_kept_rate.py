from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.kept_rate import EVERY_SECONDS, keep_rate, read_rate, write_rate
from p2pacs.line.pacer import Pacer

Clock = trio.testing.MockClock


class Found(Pacer):
    """An uplink of which somebody else says what it carries."""

    found = 0.0

    @property
    def carried(self) -> float:
        return self.found


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "uplink.rate"
    assert read_rate(path) is None
    for bits in (1, 800_000, 999_999_999_999):
        write_rate(path, bits)
        assert read_rate(path) == bits
    assert [one.name for one in tmp_path.iterdir()] == ["uplink.rate"]


@pytest.mark.parametrize("text", [b"", b"0", b"-5", b"1e9", b"\xff\xfe", b"9" * 13, b"8 9"])
def test_what_is_no_rate_is_nothing(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "uplink.rate"
    path.write_bytes(text)
    assert read_rate(path) is None


@given(st.binary(max_size=40))
def test_whatever_stands_there_is_a_rate_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.rate"
    path.write_bytes(text)
    bits = read_rate(path)
    assert bits is None or 0 < bits < 10**12


async def test_what_is_found_is_kept_when_it_changes(tmp_path: Path, autojump_clock: Clock) -> None:
    path, uplink = tmp_path / "uplink.rate", Found(800_000)
    kept = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_rate, path, uplink)
        await trio.sleep(EVERY_SECONDS / 2)
        for found in (0.0, 100_000.0, 101_000.0, 50_000.0):
            uplink.found = found
            await trio.sleep(EVERY_SECONDS)
            while uplink.found and read_rate(path) is None:
                await trio.sleep(0.01)
            kept.append(read_rate(path))
        nursery.cancel_scope.cancel()
    assert kept == [None, 800_000, 800_000, 400_000]


async def test_a_disk_that_takes_nothing_does_no_harm(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    uplink = Found(800_000)
    uplink.found = 100_000.0
    with trio.move_on_after(3 * EVERY_SECONDS):
        await keep_rate(tmp_path / "gone" / "uplink.rate", uplink)
