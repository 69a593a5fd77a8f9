import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from broker.commands import cli
from broker.config import BROKER_TOML, DATABASE, IDENTITY, LOCK, BrokerSettings
from broker.trail import audit
from p2pacs import front
from p2pacs.errors import (
    NotFoundError,
    RevokedError,
    StateError,
    StudyNotFoundError,
    UsageError,
)
from p2pacs.files.locks import locked
from p2pacs.identity.node import KEY
from p2pacs.identity.token import Token
from p2pacs.units import Endpoint
from p2pacs.web.addresses import machine_addresses

PASSWORD = "a password of some length"


class Command:
    """Runs ``p2pacs broker …`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            front.main(["broker", *map(str, arguments)])
        out, err = self._capsys.readouterr()
        assert (ended.value.code or 0) == code, err
        return err if code else out

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def init(tmp_path: Path, **options: str) -> list[str | Path]:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    given = {
        "pacs": "dimse://PACS@127.0.0.1:104",
        "listen": "127.0.0.1:4710",
        "web": "127.0.0.1:8443",
        "admin": "admin",
        "password-file": str(password),
        **options,
    }
    flat = [text for name, value in given.items() for text in (f"--{name}", value)]
    return ["init", tmp_path / "broker", *flat]


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new broker: keys, a password's hash and a database take longer to make than to copy."""
    place = tmp_path_factory.mktemp("first")
    with pytest.raises(SystemExit) as ended:
        front.main(["broker", *map(str, init(place))])
    assert not ended.value.code
    return place / "broker"


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    """A broker of this test's own."""
    return shutil.copytree(first, tmp_path / "broker")


def test_init_makes_everything_private(command: Command, tmp_path: Path) -> None:
    said = command.json(*init(tmp_path, network="North network", advertise="pacs.example:4710"))
    folder = tmp_path / "broker"
    assert said["network"] == "North network"
    assert said["endpoints"] == ["pacs.example:4710"]
    assert said["web"] == "http://127.0.0.1:8443"
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path.parent != folder, path
    text = (folder / BROKER_TOML).read_text()
    assert 'pacs = "dimse://PACS@127.0.0.1:104"' in text
    assert "# token_days = 7" in text
    assert PASSWORD not in text


def test_run_closes_what_other_accounts_could_open(command: Command, folder: Path) -> None:
    key = folder / IDENTITY / KEY
    for path in (folder, key.parent):
        path.chmod(0o755)
    for path in (key, folder / DATABASE):
        path.chmod(0o644)
    with locked(folder / LOCK, "held"):  # so that it ends as soon as it begins
        command("run", folder, code=StateError.exit_code)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert key.stat().st_mode & 0o777 == 0o600
    assert (folder / DATABASE).stat().st_mode & 0o777 == 0o600


def test_an_address_is_told_once(command: Command, tmp_path: Path) -> None:
    twice = ["--advertise", "a.example:1", "--advertise", "b.example:1"] * 2
    said = command.json(*init(tmp_path), *twice, "--listen", "127.0.0.1:4710")
    assert said["endpoints"] == ["a.example:1", "b.example:1"]
    text = (tmp_path / "broker" / BROKER_TOML).read_text()
    assert 'listen = ["127.0.0.1:4710"]' in text
    assert 'advertise = ["a.example:1", "b.example:1"]' in text


def test_what_is_wrong_is_said_without_what_follows_from_it(
    command: Command, tmp_path: Path
) -> None:
    said = command(*init(tmp_path, listen="127.0.0.1"), code=UsageError.exit_code)
    assert said.count("listen:") == 1
    assert "must be named" not in said


@pytest.mark.parametrize("most", ["0", "-1", "x", "1.5"])
def test_how_many_entries_at_most(command: Command, folder: Path, most: str) -> None:
    said = command("audit", folder, "--most", most, code=UsageError.exit_code)
    assert "a whole number is expected, at least 1" in " ".join(said.replace("│", " ").split())
    assert len(command.json("audit", folder, "--most", "1")["entries"]) == 1


def test_help_says_the_usual_ae_title() -> None:
    shown = CliRunner().invoke(cli.app, ["init", "--help"], env={"COLUMNS": "200"}).output
    usual = BrokerSettings.model_fields["aet"].default
    assert f"AE title; {usual} if none is given" in shown


def test_init_says_what_comes_next(command: Command, tmp_path: Path) -> None:
    out = command(*init(tmp_path, web="192.168.1.4:8443"))
    assert f"p2pacs broker run {tmp_path / 'broker'}" in out
    assert "https://192.168.1.4:8443" in out
    assert "authority.pem" in out
    assert "web.hosts" in out


def test_init_says_where_the_pages_open(command: Command, tmp_path: Path) -> None:
    said = command.json(*init(tmp_path, web="0.0.0.0:8443"))
    scheme, host, port = said["web"].split(":")
    assert (scheme, port) == ("https", "8443")
    host = host.removeprefix("//")
    assert host in {*machine_addresses(), "localhost"}
    assert not Endpoint(host, 0).is_unspecified


def test_init_checks_before_it_asks(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object, **_more: object) -> str:
        raise AssertionError("nobody is to be asked")

    monkeypatch.setattr(cli, "read_private", asked)
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "letter").touch()
    command(*init(tmp_path), code=StateError.exit_code)
    (tmp_path / "broker" / "letter").unlink()
    for option, value in (("admin", " anna"), ("aet", "A\\B"), ("listen", "nowhere")):
        command(*init(tmp_path, **{option: value}), code=UsageError.exit_code)
    with pytest.raises(AssertionError, match="asked"):
        front.main(["broker", *map(str, init(tmp_path))])


def test_init_refuses_what_is_there(command: Command, folder: Path, tmp_path: Path) -> None:
    before = (folder / BROKER_TOML).read_bytes()
    assert "already" in command(*init(tmp_path), code=StateError.exit_code)
    assert (folder / BROKER_TOML).read_bytes() == before
    (folder / BROKER_TOML).unlink()
    assert "not empty" in command(*init(tmp_path), code=StateError.exit_code)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("pacs", "http://x", "PACS address"),
        ("listen", "127.0.0.1", "listen: not an endpoint"),
        ("listen", "0.0.0.0:4710", "advertise: name the endpoints"),
        ("web", "web", "web.listen: not an endpoint"),
        ("aet", "SEVENTEEN LETTERS", "aet: an AE title"),
        ("password-file", "/nonexistent/file", "cannot be read"),
        ("admin", " admin", "name of an account"),
    ],
)
def test_init_names_what_is_wrong_and_makes_nothing(
    command: Command, tmp_path: Path, option: str, value: str, said: str
) -> None:
    assert said in command(*init(tmp_path, **{option: value}), code=UsageError.exit_code)
    assert not (tmp_path / "broker").exists()


def test_a_short_password_is_refused(command: Command, tmp_path: Path) -> None:
    arguments = init(tmp_path)
    (tmp_path / "password").write_text("short")
    assert "12 to 1024" in command(*arguments, code=UsageError.exit_code)


def test_from_token_to_revocation(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = command(
        "token", folder, "--name", "North", "--role", "hospital", "--uplink", "800kbit",
        "--downlink", "3mbit", "--read", "Modality=CT",
    )  # fmt: skip
    assert Token.decode(out).endpoints == ("127.0.0.1:4710",)
    said = command.json("token", folder, "--name", "R1", "--role", "replica")
    assert Token.decode(said["token"])
    north, replica = command.json("members", folder)["members"]
    assert (north["name"], north["state"], north["read"]) == ("North", "registered", "Modality=CT")
    assert (north["uplink"], north["downlink"]) == (800_000, 3_000_000)
    assert (replica["read"], replica["uplink"]) == ("none", None)
    assert "North" in command("members", folder)
    renewed = command.json("token", folder, "--name", "North", "--renew")
    assert renewed["address"] == north["address"]
    assert command.json("rule", folder, "North", "none")["read"] == "none"
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "nothing was changed" in command("revoke", folder, "R1", code=UsageError.exit_code)
    refused = command("revoke", folder, "R1", code=UsageError.exit_code)
    assert "Expel R1" in refused
    assert "add --yes" in refused
    assert command.json("members", folder)["members"][1]["state"] == "registered"
    assert command.json("revoke", folder, replica["address"], "--yes")["changed"]
    assert not command.json("revoke", folder, "R1", "-y")["changed"]
    assert "was revoked before" in command("revoke", folder, "R1", "-y")
    refused = command("rule", folder, "R1", "none", code=RevokedError.exit_code)
    assert "R1 was revoked" in refused
    entries = command.json("audit", folder)["entries"]
    assert [entry["what"] for entry in entries][:2] == ["member revoked", "read rule changed"]
    assert entries[-1]["what"] == "network founded"
    assert "North: none" in command("audit", folder, "--member", cli.WHO)
    unknown = command("audit", folder, "--study", "1.2.3", code=StudyNotFoundError.exit_code)
    assert "no study with this UID is in the audit trail" in unknown
    assert "1.2.3" not in unknown


def test_audit_reads_the_uid(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def read(_connection: object, *, uid: str, **_more: object) -> list[audit.Entry]:
        asked.append(uid)
        return []

    monkeypatch.setattr(audit, "read", read)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1.2.3\n")))
    assert command.json("audit", folder, "--study", "-") == {"entries": []}
    assert asked == ["1.2.3"]


def test_correcting_and_deleting(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("token", folder, "--name", "Nroth", "--role", "hospital", "--uplink", "1mbit")
    out = command(
        "correct", folder, "Nroth", "--name", "North", "--role", "replica", "--uplink", "none",
        "--downlink", "3mbit", "--json",
    )  # fmt: skip
    said = json.loads(out)
    assert (said["name"], said["role"], said["uplink"]) == ("North", "replica", None)
    assert (said["downlink"], said["read"]) == (3_000_000, "none")
    assert "was so already" in command("correct", folder, "North", "--downlink", "3mbit")
    assert "say what" in command("correct", folder, "North", code=UsageError.exit_code)
    command("correct", folder, "Nroth", "--name", "x", code=NotFoundError.exit_code)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n\ny\n"))
    assert "nothing was changed" in command("delete", folder, "North", code=UsageError.exit_code)
    assert "Delete North" in command("delete", folder, "North", code=UsageError.exit_code)
    assert "is deleted" in command("delete", folder, "North")
    command("delete", folder, "North", "--yes", code=NotFoundError.exit_code)
    trail = json.loads(command("audit", folder, "--json"))["entries"]
    assert [entry["what"] for entry in trail][:3] == [
        "member deleted",
        "member corrected",
        "member registered",
    ]
    command("audit", folder, "--member", "Nobody", code=NotFoundError.exit_code)


def test_wrong_members_roles_and_rules(command: Command, folder: Path) -> None:
    assert "no member" in command("revoke", folder, "South", "-y", code=NotFoundError.exit_code)
    name = ("--name", "North")
    assert "--role" in command("token", folder, *name, code=UsageError.exit_code)
    hospital = ("--role", "hospital")
    for option, value in (("--uplink", "fast"), ("--read", "some"), ("--role", "broker")):
        command("token", folder, *name, *hospital, option, value, code=UsageError.exit_code)
    command("token", folder, *name, "--renew", *hospital, code=UsageError.exit_code)
    assert command.json("members", folder)["members"] == []


def test_a_replica_gets_no_rule_but_none(command: Command, folder: Path) -> None:
    replica: list[str | Path] = ["token", folder, "--name", "R1", "--role", "replica"]
    for read in ("all", "Modality=CT"):
        said = command(*replica, "--read", read, code=UsageError.exit_code)
        assert "a replica reads nothing" in said
    assert command.json("members", folder)["members"] == []
    command(*replica, "--read", "none")
    assert "a replica reads nothing" in command(
        "rule", folder, "R1", "all", code=UsageError.exit_code
    )
    command("token", folder, "--name", "North", "--role", "hospital", "--read", "Modality=CT")
    said = command.json("correct", folder, "North", "--role", "replica")
    assert said["read"] == "none"


def test_what_a_member_sends_is_finished_without_it(command: Command, folder: Path) -> None:
    command("token", folder, "--name", "North", "--role", "hospital")
    said = command("adopt", folder, "North", "--yes")
    assert "finishes 0 studies of North without it" in said
    assert command.json("adopt", folder, "North", "--yes")["studies"] == 0
    entries = command.json("audit", folder)["entries"]
    assert [entry["what"] for entry in entries][:2] == ["studies adopted"] * 2


def test_which_studies_a_member_may_send(command: Command, folder: Path) -> None:
    command("token", folder, "--name", "North", "--role", "hospital")
    command("token", folder, "--name", "R1", "--role", "replica")

    def send() -> list[str]:
        return [one["send"] for one in command.json("members", folder)["members"]]

    assert send() == ["all", "none"]
    assert command.json("send-rule", folder, "North", "MR1, CT1")["send"] == "CT1,MR1"
    said = command("send-rule", folder, "North", "none")
    assert "North may now send: none" in said
    assert "stays so until somebody there sends it again" in said
    assert send() == ["none", "none"]
    said = command("send-rule", folder, "R1", "all", code=UsageError.exit_code)
    assert "a replica sends nothing" in said
    said = command("send-rule", folder, "North", "CT1,,", code=UsageError.exit_code)
    assert "AE titles like CT1,MR1" in said
    entries = command.json("audit", folder)["entries"]
    assert [entry["what"] for entry in entries][:2] == ["send rule changed"] * 2
    command("revoke", folder, "North", "--yes")
    said = command("send-rule", folder, "North", "all", code=RevokedError.exit_code)
    assert "North was revoked" in said


def test_status(command: Command, folder: Path) -> None:
    command("token", folder, "--name", "North", "--role", "hospital")
    said = command.json("status", folder)
    assert (said["running"], said["pacs"]["state"]) == (False, "unknown")
    assert said["members"] == {"count": 1, "linked": 0}
    with locked(folder / LOCK, "taken"):
        assert command.json("status", folder)["running"]
    assert "Runs\tno: start it with p2pacs broker run" in command("status", folder)


def test_no_broker_there(command: Command, tmp_path: Path) -> None:
    commands: list[list[str | Path]] = [["members", tmp_path], ["run", tmp_path]]
    for arguments in commands:
        assert "p2pacs broker init" in command(*arguments, code=StateError.exit_code)


def test_linked_members_are_shown_as_such_only_while_the_broker_runs(
    command: Command, folder: Path
) -> None:
    from sqlalchemy import text  # noqa: PLC0415

    from broker.database.db import connect  # noqa: PLC0415

    command("token", folder, "--name", "North", "--role", "hospital")
    for said in (
        "UPDATE members SET joined = 1",
        "INSERT INTO links SELECT x'fd', address FROM members",
    ):
        connect(folder / "broker.db").transact(lambda c, said=said: c.execute(text(said)))
    assert command.json("members", folder)["members"][0]["state"] == "joined"
    with locked(folder / LOCK, "taken"):
        assert command.json("members", folder)["members"][0]["state"] == "linked"
        assert "runs in" in command("run", folder, code=StateError.exit_code)
