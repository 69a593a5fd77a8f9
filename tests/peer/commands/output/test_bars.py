from collections.abc import Callable
from io import StringIO
from typing import Any

from rich.console import Console

from peer.commands.output.bars import SHOWN, Bars
from tests.peer.fake_peer import transfer_of

CLEARED = "\r\x1b[2K"
"""How a terminal is told to forget the line, before all is drawn once more."""

TRANSFER = transfer_of(
    5_000_000,
    10_000_000,
    rate=150_000,
    expected_seconds=33.3,
    sources={
        "replica-1": {"bytes": 3_000_000, "rate": 100_000, "in_flight": 262_144, "linked": True},
        "hospital-b": {"bytes": 2_000_000, "rate": 0, "in_flight": 0, "linked": False},
    },
)


def _shown(*transfers: dict[str, Any], terminal: bool = True) -> str:
    out = StringIO()
    with Bars(Console(file=out, force_terminal=terminal, width=140)) as bars:
        for transfer in transfers:
            bars.transfer(transfer)
            bars.instance(3, 12)
    return out.getvalue()


def _last(show: Callable[[Bars], None]) -> str:
    """What stands there in the end; whatever was drawn before, as time went by, does not count."""
    out = StringIO()
    with Bars(Console(file=out, force_terminal=True, width=140)) as bars:
        show(bars)
    return out.getvalue().rpartition(CLEARED)[2]


def test_a_bar_for_the_whole_and_a_line_for_each_source() -> None:
    shown = _shown(TRANSFER)
    for text in ("5.0 MB of 10.0 MB", "1.2mbit/s", "33 s left", "3 of 12"):
        assert text in shown
    for text in ("from replica-1", "3.0 MB", "800kbit/s", "262.1 kB asked for"):
        assert text in shown
    for text in ("from hospital-b", "2.0 MB", "away"):
        assert text in shown


def test_what_gave_something_before_a_restart_gives_nothing_now() -> None:
    def stopped(bars: Bars) -> None:
        bars.transfer(TRANSFER)
        bars.away()

    def started(bars: Bars) -> None:
        stopped(bars)
        bars.transfer(transfer_of(5_000_000, 10_000_000, rate=0, sources={}))

    assert "the peer stopped: waiting for it" in _last(stopped)
    shown = _last(started)
    assert "from replica-1" in shown
    assert "kbit/s" not in shown
    assert "asked for" not in shown


def test_previews_have_a_bar_once_there_is_news_of_them() -> None:
    assert "previews" not in _last(lambda bars: bars.transfer(TRANSFER))
    some = _last(lambda bars: bars.previews(37, 300, sheet=False))
    assert "37 of 300" in some
    assert "on the sheet" not in some
    all_of_them = _last(lambda bars: bars.previews(300, 300, sheet=True))
    assert "300 of 300" in all_of_them
    assert "on the sheet" in all_of_them


def test_without_instances() -> None:
    out = StringIO()
    with Bars(Console(file=out, force_terminal=True, width=140), "a", instances=False) as bars:
        bars.instance(1, 2)
    assert "instances" not in out.getvalue()


def test_the_end() -> None:
    assert "in 1:05 min" in _shown(TRANSFER, transfer_of(10_000_000, seconds=65.2))


def test_a_crowd_fits_on_the_screen() -> None:
    source = {"bytes": 1, "rate": 0, "in_flight": 0, "linked": True}
    crowd = {f"member-{number:02d}": source for number in range(SHOWN + 5)}
    shown = _shown(transfer_of(5, 10, sources=crowd))
    assert f"member-{SHOWN - 1:02d}" in shown
    assert f"member-{SHOWN:02d}" not in shown


def test_nothing_moves_where_nobody_looks() -> None:
    assert _shown(TRANSFER, terminal=False).strip() == ""
