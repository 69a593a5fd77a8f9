from pathlib import Path

from broker.commands import output as cli_output
from broker.setup import found
from broker.trail import audit
from p2pacs.ids import StudyId
from p2pacs.output.tables import Table, render
from tests.broker.handlers.test_reported_reads import ADDRESS, NORTH
from tests.broker.pages.conftest import PASSWORD, settings


def _shown(table: Table) -> str:
    return "\n".join(render([table], 80))


def test_members() -> None:
    shown = _shown(cli_output.members_table([NORTH], 0, running=True))
    assert "North" in shown
    assert "linked" in shown
    assert str(ADDRESS) in shown
    assert "no limit / no limit" in shown
    assert "May send   none" in shown
    assert "linked" not in _shown(cli_output.members_table([NORTH], 0, running=False))
    assert cli_output.member_json(NORTH, 0, running=False)["joined"] == "1970-01-01T00:00:00Z"


def test_who_is_linked_is_seen_now() -> None:
    linked, away = (
        cli_output.members_table([NORTH], 0, running=running).rows[0] for running in (True, False)
    )
    assert (linked[6], away[6]) == ("now", "never")


def test_the_audit_trail_names_studies_by_id() -> None:
    entry = audit.Entry("study read", "North", ADDRESS, StudyId(b"s" * 16), "1.2.3", "move by WS1")
    shown = _shown(cli_output.audit_table([entry]))
    assert "73737373" in shown
    assert "move by WS1" in shown


def test_what_init_says(tmp_path: Path) -> None:
    web = settings(listen="192.168.1.4:8443")
    keys = found(tmp_path / "b", web, network="a network", admin="admin", password=PASSWORD)
    said = cli_output.founded(tmp_path / "b", keys, web)
    assert "https://192.168.1.4:8443" in said
    assert "p2pacs broker run" in said


def test_what_is_said_beside_a_token_can_be_pasted() -> None:
    said = cli_output.token_hint(NORTH)
    assert "peer join /var/lib/p2pacs/peer \\\n    --listen 0.0.0.0:4711" in said
    assert "--aet NORTH --dicom 0.0.0.0:11112" in said
    assert "asks for the token" in said


def test_the_ready_line() -> None:
    said = {"listen": ["127.0.0.1:1"], "web": "http://127.0.0.1:2"}
    assert "127.0.0.1:1; the pages are at http://127.0.0.1:2" in cli_output.ready(said)
