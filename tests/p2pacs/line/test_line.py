import ipaddress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
import trio
import trio.testing

from p2pacs.hours import Hours
from p2pacs.line.kept_rate import write_rate
from p2pacs.line.line import KEPT_SHARE, UPLINK_SHARE, Line
from p2pacs.line.queue_control import TUNING as UPLINK
from p2pacs.settings import LineSettings
from p2pacs.units import MEASURED

Clock = trio.testing.MockClock


def test_the_line_of_the_settings() -> None:
    said = {"uplink": "800kbit", "downlink": "3mbit", "lan": ["10.1.0.0/16"]}
    settings = LineSettings.model_validate({**said, "hours": ["08:00-12:00 80kbit"]})
    lan, hours = (ipaddress.ip_network("10.1.0.0/16"),), (Hours.parse("08:00-12:00 80kbit"),)
    assert Line.of(settings) == Line(800_000, 3_000_000, lan, hours)


def test_what_is_on_the_lan() -> None:
    line = Line(lan=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fe80::/10")))
    assert line.is_lan("10.1.2.3")
    assert line.is_lan("::ffff:10.1.2.3")
    assert line.is_lan("fe80::1%eth0")
    assert not line.is_lan("10.2.2.3")
    assert not line.is_lan("2001:db8::1")


def test_of_a_measured_line_what_is_beside_is_on_the_lan() -> None:
    assert not Line().is_lan("127.0.0.1")
    assert not Line(800_000).is_lan("127.0.0.1")  # members of one machine may be paced
    assert Line(MEASURED).is_lan("127.0.0.1")
    assert Line(MEASURED).is_lan("::ffff:127.0.0.1")
    assert not Line(MEASURED, 100_000).is_lan("127.0.0.1"), "a downlink that was set counts"
    assert not Line(MEASURED).is_named_lan("127.0.0.1")
    assert not Line(MEASURED).is_lan("198.51.100.1")


async def test_a_line_makes_the_budgets_that_it_has(autojump_clock: Clock) -> None:
    assert Line().pacers() == (None, None)
    up, down = Line(800_000, 3_000_000).pacers()
    assert up is not None
    assert down is not None
    assert up.rate == pytest.approx(100_000 * UPLINK_SHARE)
    assert down.rate == 375_000
    up, _ = Line(MEASURED).pacers()
    assert up is not None
    assert up.rate == UPLINK.start


@pytest.mark.parametrize(
    ("uplink", "usual"), [(800_000, 100_000 * UPLINK_SHARE), (MEASURED, UPLINK.start)]
)
async def test_hours_are_followed(
    autojump_clock: Clock, uplink: int | Literal["measured"], usual: float
) -> None:
    hours = (Hours.parse("08:00-12:00 80kbit"), Hours.parse("12:00-18:00 off"))
    line = Line(uplink, hours=hours)
    pacer, _ = line.pacers()
    assert pacer is not None
    midnight = datetime(2024, 1, 1)  # noqa: DTZ001 (local time is meant)
    begin = trio.current_time()
    rates = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            line.follow_hours,
            pacer,
            lambda: midnight + timedelta(seconds=trio.current_time() - begin),
        )
        for _ in range(24):
            await trio.sleep(1800)
            rates.append(pacer.rate)
            await trio.sleep(1800)
        nursery.cancel_scope.cancel()
    low = 10_000 * UPLINK_SHARE
    assert rates == pytest.approx([usual] * 8 + [low] * 4 + [0.0] * 6 + [usual] * 6)


async def test_without_hours_nothing_is_followed(autojump_clock: Clock) -> None:
    line = Line(800_000)
    pacer, _ = line.pacers()
    assert pacer is not None
    await line.follow_hours(pacer)


async def test_a_measured_line_begins_with_what_it_carried(tmp_path: Path) -> None:
    kept = tmp_path / "uplink.rate"
    write_rate(kept, 4_000_000)
    pacer, _ = Line(MEASURED, kept=kept).pacers()
    assert pacer is not None
    assert pacer.rate == pytest.approx(500_000 * KEPT_SHARE)


@pytest.mark.parametrize("uplink", [800_000, MEASURED])
async def test_the_queue_of_a_measured_line_alone_is_watched(
    tmp_path: Path, autojump_clock: Clock, uplink: int | Literal["measured"]
) -> None:
    line = Line(uplink, kept=tmp_path / "uplink.rate")
    pacer, _ = line.pacers()
    assert pacer is not None
    with trio.move_on_after(1000) as scope:
        await line.watch(pacer)
    assert scope.cancelled_caught is (uplink == MEASURED)
