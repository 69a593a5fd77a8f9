import re
import shlex
from pathlib import Path

import pytest

from broker.registration.join_command import (
    FOLDER,
    INSTALL,
    PROGRAM,
    JoinPlan,
    aet_of,
    join_command,
    run_command,
    usual_plan,
)
from p2pacs.identity.directory import Role
from p2pacs.units import Endpoint
from tests.manual import manual

ROOT = Path(__file__).parents[3]


def test_a_hospital_is_a_pacs_to_its_workstations() -> None:
    text = join_command("T0KEN", usual_plan("North General", Role.HOSPITAL))
    assert text == (
        "runuser -u p2pacs -- /opt/p2pacs/bin/p2pacs peer join /var/lib/p2pacs/peer \\\n"
        "    --listen 0.0.0.0:4711 \\\n"
        "    --aet NORTH_GENERAL --dicom 0.0.0.0:11112 \\\n"
        "    --token-file - <<'TOKEN'\n"
        "T0KEN\n"
        "TOKEN"
    )


def test_without_a_token_it_is_asked_for() -> None:
    text = join_command(None, usual_plan("North", Role.HOSPITAL))
    assert text.endswith("--aet NORTH --dicom 0.0.0.0:11112")


def test_a_replica_has_no_gateway() -> None:
    text = join_command("T0KEN", usual_plan("North", Role.REPLICA))
    assert "--aet" not in text
    assert "--dicom" not in text


def test_everything_that_can_be_said() -> None:
    plan = JoinPlan(
        listen=Endpoint("10.0.0.1", 1),
        advertise=(Endpoint("a.example", 2), Endpoint("fd00::1", 3)),
        aet="IT'S A PACS",
        dicom=Endpoint("10.0.0.1", 104),
        workstations=(("VIEWER", Endpoint("10.0.0.2", 104)),),
        web=Endpoint("10.0.0.1", 8443),
    )
    command = join_command("T0KEN", plan).partition("<<")[0]
    words = shlex.split(command.replace("\\\n", ""))
    assert words == [
        *PROGRAM, "peer", "join", FOLDER, "--listen", "10.0.0.1:1",
        "--advertise", "a.example:2", "--advertise", "[fd00::1]:3",
        "--aet", "IT'S A PACS", "--dicom", "10.0.0.1:104",
        "--workstation", "VIEWER=10.0.0.2:104", "--web", "10.0.0.1:8443", "--token-file", "-",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "aet"),
    [
        ("North General", "NORTH_GENERAL"),
        ("Krankenhaus Süd (Köln)", "KRANKENHAUS_SUD"),
        ("北病院", "HOSPITAL"),
        ("---", "HOSPITAL"),
    ],
)
def test_titles_from_names(name: str, aet: str) -> None:
    assert aet_of(name) == aet


def test_the_paths_are_those_of_the_documentation_and_the_unit() -> None:
    unit = (ROOT / "deploy/systemd/p2pacs-peer.service").read_text()
    program = PROGRAM[-1]
    assert f"ExecStart={program} peer run {FOLDER}\n" in unit
    assert f"User={PROGRAM[2]}\n" in unit
    text = manual()
    assert f"`{shlex.join(PROGRAM)} …`" in text
    assert f"p2pacs peer join {FOLDER} " in text
    assert f"p2pacs peer run {FOLDER}\n" in text
    assert "p2pacs broker init /var/lib/p2pacs/broker " in text
    folders = set(re.findall(r"/var/lib/p2pacs/\w+", text))
    assert folders <= {FOLDER, "/var/lib/p2pacs/broker", "/var/lib/p2pacs/data"}  # a container
    assert program.removesuffix("/bin/p2pacs") in text
    assert run_command().endswith(f"peer run {FOLDER}")


def test_the_commands_that_install_are_those_of_the_manual() -> None:
    assert "".join(f"    {line}\n" for line in INSTALL.splitlines()) in manual()
