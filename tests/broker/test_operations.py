"""The manual and deploy/ stay true."""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from broker.access.rules import parse_rule
from broker.config import BrokerSettings
from p2pacs.errors import P2PacsError
from p2pacs.front import INTERRUPTED
from tests.manual import manual

ROOT = Path(__file__).parents[2]
TEXT = manual()


def _keys(model: type[BaseModel], table: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{table}{name}.")
        else:
            yield f"{table}{name}"


@pytest.mark.parametrize("key", list(_keys(BrokerSettings)))
def test_every_setting_is_explained(key: str) -> None:
    broker = TEXT[
        TEXT.index("## All settings of a broker") : TEXT.index("## All settings of a peer")
    ]
    assert f"`{key}`" in broker


def test_every_setting_of_a_peer_is_explained() -> None:
    from peer.config import PeerSettings  # noqa: PLC0415

    peer = TEXT[TEXT.index("## All settings of a peer") :]
    assert [key for key in _keys(PeerSettings) if f"`{key}`" not in peer] == []


def test_every_exit_code_is_explained() -> None:
    section = TEXT[TEXT.index("## Exit codes") :].split("\n## ")[0]
    told = [int(code) for code in re.findall(r"^\| (\d+) \| [^|]+ \| [^|]+ \|$", section, re.M)]
    kinds = {kind.exit_code for kind in _kinds(P2PacsError)}
    assert told == sorted(kinds | {0, INTERRUPTED})


def _kinds(kind: type[P2PacsError]) -> Iterator[type[P2PacsError]]:
    yield kind
    for one in kind.__subclasses__():
        if one.__module__ == P2PacsError.__module__:
            yield from _kinds(one)


def test_the_rules_in_the_manual_are_rules() -> None:
    table = TEXT[TEXT.index("| rule | allows |") :].split("\n\n")[0]
    rules = re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)
    assert len(rules) == 3
    for rule in rules:
        parse_rule(rule.replace("\\|", "|"))


@pytest.mark.parametrize("side", ["broker", "peer"])
def test_units_run_the_side_that_they_are_named_for(side: str) -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "systemd" / f"p2pacs-{side}.service")
    command = unit["Service"]["ExecStart"].split()
    assert command[1:] == [side, "run", f"/var/lib/p2pacs/{side}"]
    assert unit["Service"]["User"] == "p2pacs"
