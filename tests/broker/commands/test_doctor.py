"""The doctor on a real broker's folder, with the faults really made."""

import json
import socket
from pathlib import Path

import pytest
import trio

from broker.commands.doctor import plan_broker
from broker.config import BROKER_TOML, BrokerSettings, save_broker_settings
from p2pacs import front
from p2pacs.doctor.examination import examine
from p2pacs.process.health import Health, HealthCheck
from tests.broker.test_app import Running, folder, settings  # noqa: F401 - fixtures
from tests.components import HOST, free_port


async def _checks(where: Path) -> dict[str, HealthCheck]:
    known, planned = plan_broker(where)
    return {one.name: one for one in [*known, *await examine(planned, seconds=100)]}


async def test_a_broker_that_does_not_run(folder: Path, settings: BrokerSettings) -> None:  # noqa: F811
    checks = await _checks(folder)
    assert [one for one in checks.values() if one.state is Health.BAD] == []
    assert checks["Program"].state is Health.LOOK
    assert "is free" in checks["Port of listen"].what
    assert checks["PACS"].state is Health.GOOD
    assert checks["PACS: C-GET, C-MOVE"].state is Health.GOOD
    assert checks["Certificate of the broker"].state is Health.GOOD
    assert checks["Certificate of the authority"].state is Health.GOOD


async def test_one_that_runs_is_not_disturbed(folder: Path, settings: BrokerSettings) -> None:  # noqa: F811
    running = Running(folder, settings)
    async with trio.open_nursery() as nursery:
        await nursery.start(running.run)
        checks = await _checks(folder)
        assert [one for one in checks.values() if one.state is Health.BAD] == []
        assert checks["Program"].state is Health.GOOD
        assert "running program answers" in checks["Port of listen"].what
        running.stop.set()


async def test_a_port_that_is_taken_and_a_pacs_that_is_away(
    folder: Path,  # noqa: F811
    settings: BrokerSettings,  # noqa: F811
) -> None:
    away = f"dimse://PACS@{HOST}:{free_port()}"
    save_broker_settings(folder, settings.model_copy(update={"pacs": away}))
    [listen] = settings.listen
    with socket.create_server((HOST, listen.port)):
        checks = await _checks(folder)
    assert checks["Port of listen"].state is Health.BAD
    assert checks["PACS"].state is Health.BAD
    assert "cannot be reached" in checks["PACS"].what


async def test_a_dicomweb_root_where_nothing_is(
    folder: Path,  # noqa: F811
    settings: BrokerSettings,  # noqa: F811
) -> None:
    away = f"dicomweb+http://{HOST}:{free_port()}/dicom-web"
    save_broker_settings(folder, settings.model_copy(update={"pacs": away}))
    assert (await _checks(folder))["PACS"].state is Health.BAD


async def test_wrong_settings_are_named_with_their_line(folder: Path) -> None:  # noqa: F811
    file = folder / BROKER_TOML
    file.write_text(file.read_text() + "\nuplink = 3\n")
    checks = await _checks(folder)
    assert checks["Settings"].state is Health.BAD
    assert "uplink" in checks["Settings"].what
    assert checks["Folder"].state is Health.GOOD


def test_the_command_says_it_and_exits_by_the_worst(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / BROKER_TOML).write_text("nonsense = 1\n")
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            front.main(["doctor", str(tmp_path), *options])
        assert ended.value.code == 1
        said = capsys.readouterr().out
        if options:
            assert json.loads(said)["state"] == "bad"
        else:
            assert "bad   Settings:" in said
