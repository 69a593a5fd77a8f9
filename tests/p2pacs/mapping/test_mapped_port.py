"""A mapping is kept, told, and given back: in virtual time, with a router out of a script."""

from ipaddress import IPv4Address

import pytest
import trio
from attrs import define, field

from p2pacs.mapping.answers import Granted, Refused, RouterAddress
from p2pacs.mapping.mapped_port import (
    LIFETIME,
    RENEW_LEAST,
    RENEW_MOST,
    RETRY,
    Asked,
    NoMapping,
    mapped_port,
    pause,
)
from p2pacs.units import Endpoint

GATEWAY = IPv4Address("192.168.1.1")
PUBLIC = IPv4Address("11.2.3.4")
GRANTED = Granted(4000, LIFETIME, PUBLIC)


@define
class Scripted:
    """Routers whose answer can be changed."""

    answer: Granted | Refused | None = GRANTED
    gateway: IPv4Address | None = GATEWAY
    asked: list[tuple[float, str, int]] = field(factory=list)
    silent: bool = False

    def there(self) -> IPv4Address | None:
        return self.gateway

    def make(self, gateway: RouterAddress, port: int) -> Asked:
        assert port == 4000
        return ScriptedRouter(self, gateway)


@define
class ScriptedRouter:
    """One of them."""

    script: Scripted
    gateway: RouterAddress
    by: str = "PCP"

    async def ask(self, lifetime: int) -> Granted | Refused | None:
        self.script.asked.append((trio.current_time(), str(self.gateway), lifetime))
        if self.script.silent:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return self.script.answer


async def test_it_is_told_renewed_and_given_back(autojump_clock: trio.testing.MockClock) -> None:
    script = Scripted()
    begin = trio.current_time()
    async with mapped_port(4000, script.there, script.make) as mapping:
        await mapping.tried()
        assert (mapping.outer, mapping.by) == (Endpoint("11.2.3.4", 4000), "PCP")
        await trio.sleep(RENEW_MOST + 1)
    times = [(round(at - begin), lifetime) for at, _, lifetime in script.asked]
    assert times == [(0, LIFETIME), (300, LIFETIME), (301, 0)]


async def test_another_outer_port_after_a_restart_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    script = Scripted()
    async with mapped_port(4000, script.there, script.make) as mapping:
        await mapping.tried()
        script.answer = Granted(5000, LIFETIME, IPv4Address("11.2.3.5"))
        await mapping.watch.until(lambda: mapping.outer == Endpoint("11.2.3.5", 5000))
        script.answer = None
        await mapping.watch.until(lambda: mapping.outer is None)
        assert (mapping.why, mapping.by) == (NoMapping.NO_ANSWER, None)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, NoMapping.NO_ANSWER),
        (Refused(2), NoMapping.REFUSED),
        (Granted(4000, 0, PUBLIC), NoMapping.REFUSED),
        (Granted(4000, 600, None), NoMapping.REFUSED),
        (Granted(4000, 600, IPv4Address("10.0.0.1")), NoMapping.BEHIND_ANOTHER),
        (Granted(4000, 600, IPv4Address("100.64.0.1")), NoMapping.BEHIND_ANOTHER),
    ],
)
async def test_why_there_is_none(
    autojump_clock: trio.testing.MockClock, answer: Granted | Refused | None, why: NoMapping
) -> None:
    script = Scripted(answer)
    async with mapped_port(4000, script.there, script.make) as mapping:
        await mapping.tried()
        assert (mapping.why, mapping.outer) == (why, None)


async def test_a_machine_that_moves_asks_its_new_router(
    autojump_clock: trio.testing.MockClock,
) -> None:
    script = Scripted(gateway=None)
    async with mapped_port(4000, script.there, script.make) as mapping:
        await mapping.tried()
        assert mapping.why is NoMapping.NO_ROUTER
        script.gateway = GATEWAY
        await mapping.watch.until(lambda: mapping.outer is not None)
        script.gateway = IPv4Address("192.168.7.1")
        await trio.sleep(RENEW_MOST + 1)
    assert [gateway for _, gateway, _ in script.asked] == ["192.168.1.1"] + ["192.168.7.1"] * 2


async def test_a_router_that_hangs_holds_up_nobody(autojump_clock: trio.testing.MockClock) -> None:
    script = Scripted(silent=True)
    begin = trio.current_time()
    async with mapped_port(4000, script.there, script.make):
        await trio.sleep(10)
    assert trio.current_time() - begin <= 12


def test_it_is_asked_again_at_half_of_the_lifetime_within_bounds() -> None:
    assert pause(None) == pause(Refused(2)) == RETRY
    assert pause(Granted(1, 400, PUBLIC)) == 200
    assert pause(Granted(1, 2**32 - 1, PUBLIC)) == RENEW_MOST
    assert pause(Granted(1, 1, PUBLIC)) == RENEW_LEAST
