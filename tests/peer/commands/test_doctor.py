"""The doctor on a real peer's folder in a running network, with the faults really made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from p2pacs import front
from p2pacs.doctor.examination import examine
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.directory import Role
from p2pacs.identity.node import NodeIdentity
from p2pacs.process.health import Health, HealthCheck
from peer.commands.doctor import broker_checks, line_check, plan_peer, sent_check
from peer.config import IDENTITY, PEER_TOML, PeerSettings, save_peer_settings
from tests.components import HOST, free_port
from tests.peer.world import World, open_world


def _set_up(world: World, name: str = "a", role: Role = Role.HOSPITAL, **more: Any) -> Path:
    folder = world.register(name, role)
    said = {"name": name, "listen": [f"{HOST}:{free_port()}"], "api": f"{HOST}:{free_port()}"}
    save_peer_settings(folder, PeerSettings.model_validate({**said, **more}))
    return folder


async def _checks(folder: Path) -> dict[str, HealthCheck]:
    known, planned = plan_peer(folder)
    return {one.name: one for one in [*known, *await examine(planned, seconds=100)]}


def _bad(checks: dict[str, HealthCheck]) -> Sequence[HealthCheck]:
    return [one for one in checks.values() if one.state is Health.BAD]


async def test_a_peer_in_order(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world, line={"uplink": "800kbit"})
        checks = await _checks(folder)
        assert _bad(checks) == []
        [broker] = [one for one in checks.values() if one.name.startswith("Broker at ")]
        assert broker.state is Health.GOOD
        assert checks["Membership"].state is Health.GOOD
        assert checks["Line"].state is Health.GOOD
        assert checks["Certificate of this member"].state is Health.GOOD


async def test_a_broker_that_is_away(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world)
        await world.stop("broker")
        [bad] = _bad(await _checks(folder))
        assert bad.name.startswith("Broker at ")
        assert "clocks" in bad.advice


async def test_one_address_that_works_is_enough_and_another_s_identity_is_none(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world)
        other = await world.add("other")
        identity = NodeIdentity.load(folder / IDENTITY)
        book = DirectoryBook(identity.folder / FILE, identity.broker_key)
        [address] = book.directory.brokers
        broker = book.directory.get(address)
        stranger = book.directory.get(other.identity.address)
        assert broker is not None
        assert stranger is None  # it came later than this directory
        elsewhere = str(other.settings.listen[0])
        both = evolve(broker, endpoints=(*broker.endpoints, elsewhere))
        works, wrong = await broker_checks(identity, book, both)
        assert (works.state, wrong.state) == (Health.GOOD, Health.LOOK)
        [alone] = await broker_checks(identity, book, evolve(broker, endpoints=(elsewhere,)))
        assert alone.state is Health.BAD


async def test_a_member_that_was_revoked(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world)
        world.revoke("a")
        identity = NodeIdentity.load(folder / IDENTITY)
        book = DirectoryBook(identity.folder / FILE, identity.broker_key)
        book.update(world._books[0].raw)
        checks = await _checks(folder)
        assert checks["Membership"].state is Health.BAD


async def test_addresses_that_others_were_not_told(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world, advertise=["hospital.example:4711"])
        check = (await _checks(folder))["Reached by others"]
        assert check.state is Health.LOOK
        assert "hospital.example:4711" in check.what


async def test_workstations_and_the_viewer(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        gateway = {
            "viewer": f"{HOST}:{free_port()}",
            "destinations": {"AWAY": f"{HOST}:{free_port()}"},
        }
        folder = _set_up(world, gateway=gateway)
        checks = await _checks(folder)
        assert checks["Workstation AWAY"].state is Health.LOOK
        assert "AE title P2PACS" in checks["Workstation AWAY"].advice
        assert checks["Viewer"].state is Health.BAD
        assert "p2pacs viewer install" in checks["Viewer"].advice


async def test_recipients_that_are_no_members(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world, sending={"to": {"Nobody": {}, "b": {}}})
        check = (await _checks(folder))["Recipients"]
        assert check.state is Health.LOOK
        assert "'Nobody', 'b'" in check.what
        assert "sending.to" in check.advice
        world.register("b")
        assert "called 'Nobody'" in (await _checks(folder))["Recipients"].what


async def test_a_replica_has_neither(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world, "r", Role.REPLICA, gateway={"viewer": f"{HOST}:{free_port()}"})
        assert "Viewer" not in await _checks(folder)


async def test_settings_that_are_wrong_and_an_identity_that_is_gone(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = _set_up(world)
        (folder / IDENTITY / "cert.pem").unlink()
        checks = await _checks(folder)
        assert checks["Membership"].state is Health.BAD
        (folder / PEER_TOML).write_text("name = 3\n")
        assert (await _checks(folder))["Settings"].state is Health.BAD


def test_a_folder_of_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        front.main(["doctor", str(tmp_path)])
    assert ended.value.code == 1
    assert "bad   Settings: No peer in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "state", "says"),
    [
        ({}, Health.GOOD, "Under way: 2; 5.0 MB are kept here."),
        ({"under_way": 0, "oldest": None}, Health.GOOD, "Under way: 0"),
        ({"refused": 1}, Health.LOOK, "Refused: 1."),
        ({"oldest": 9 * 3600}, Health.LOOK, "began 9 h ago"),
    ],
)
def test_what_is_sent_and_does_not_arrive(
    more: dict[str, Any], state: Health, says: str, tmp_path: Path
) -> None:
    sending = {"under_way": 2, "refused": 0, "spooled": 5_000_000, "oldest": 60, **more}
    check = sent_check(sending, tmp_path)
    assert check.state is state
    assert says in check.what
    assert (f"p2pacs sent {tmp_path}" in check.advice) is (state is Health.LOOK)


@pytest.mark.parametrize(
    ("uplink", "carries", "state", "says"),
    [
        (None, None, Health.LOOK, "Nothing says"),
        (None, 790_000, Health.LOOK, "last carried 790kbit"),
        ("measured", None, Health.GOOD, "nothing was sent over it yet"),
        ("measured", 790_000, Health.GOOD, "790kbit"),
        (800_000, None, Health.GOOD, "800kbit of the uplink"),
        (800_000, 790_000, Health.GOOD, "last carried 790kbit"),
        (800_000, 400_000, Health.LOOK, "carried 400kbit"),
    ],
)
def test_what_is_set_stands_beside_what_the_line_carries(
    uplink: int | str | None, carries: int | None, state: Health, says: str
) -> None:
    check = line_check(uplink, carries)
    assert check.state is state
    assert says in check.what
