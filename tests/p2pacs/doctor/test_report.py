import csv
import io

from p2pacs.doctor.report import WIDTH, report_csv, report_json, report_lines
from p2pacs.output.tables import width
from p2pacs.process.health import Health, HealthCheck

CHECKS = [
    HealthCheck("Settings", Health.GOOD, "peer.toml is valid."),
    HealthCheck("Clock", Health.LOOK, "Nothing keeps it right. " * 5, "Follow a time server. " * 6),
    HealthCheck("PACS", Health.BAD, "It is away\x1b[2J.", "Start it."),
]


def test_a_line_each_with_advice_underneath() -> None:
    lines = list(report_lines(CHECKS))
    assert lines[0] == "ok    Settings: peer.toml is valid."
    assert lines[1].startswith("look  Clock: Nothing keeps it right.")
    assert "bad   PACS: It is away\\x1b[2J." in lines
    assert "      → Start it." in lines
    assert lines[-1] == "3 checks: 1 ok, 1 to look at, 1 bad."
    assert all(width(line) <= WIDTH for line in lines)


def test_the_same_for_programs() -> None:
    said = report_json(CHECKS)
    assert said["state"] == "bad"
    assert [one["state"] for one in said["checks"]] == ["good", "look", "bad"]
    assert said["checks"][2]["advice"] == "Start it."
    rows = list(csv.DictReader(io.StringIO(report_csv(CHECKS))))
    assert [one["key"] for one in rows] == ["settings", "clock", "pacs"]
    assert rows[2]["advice"] == "Start it."
