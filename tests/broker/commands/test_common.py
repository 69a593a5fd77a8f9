import json
from pathlib import Path

import pytest

from broker.commands.common import opened, print_json
from broker.config import DATABASE, BrokerSettings
from broker.database.db import connect
from broker.members import registry
from broker.members.registry import Registration
from broker.setup import found
from p2pacs.errors import StateError
from p2pacs.identity.directory import Role

PASSWORD = "a password of some length"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = BrokerSettings.model_validate(
        {
            "pacs": "dimse://PACS@127.0.0.1:104",
            "listen": ["127.0.0.1:4710"],
            "web": {"listen": "127.0.0.1:8443"},
        }
    )
    found(tmp_path / "broker", settings, network="a network", admin="admin", password=PASSWORD)
    return tmp_path / "broker"


def test_an_administrator_acts_with_the_brokers_own_keys(folder: Path) -> None:
    actions, database = opened(folder)
    plan = Registration("North", Role.HOSPITAL, None, None, "all")
    database.transact(lambda c: actions.register(c, plan, "anna"))
    _, again = opened(folder)
    (member,) = again.transact(registry.list_members)
    assert member.name == "North"


def test_a_database_of_an_older_version_is_brought_to_this_one(folder: Path) -> None:
    (folder / DATABASE).unlink()
    _, database = opened(folder)
    assert database.transact(registry.list_members) == []


def test_where_no_broker_is_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StateError):
        opened(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_database_of_a_newer_version_is_left_alone(folder: Path) -> None:
    database = connect(folder / DATABASE)
    database.transact(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num='v9999'"))
    before = (folder / DATABASE).read_bytes()
    with pytest.raises(StateError, match="newer"):
        opened(folder)
    assert (folder / DATABASE).read_bytes() == before


def test_json_is_one_line_that_keeps_every_letter(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Ålesund\n2"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "Ålesund" in out
    assert json.loads(out) == {"name": "Ålesund\n2"}
