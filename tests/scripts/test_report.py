"""The demo's JSON has exactly the form that its readers expect."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import report

GOOD: dict[str, Any] = {
    "study": "00ff",
    "instances": 2,
    "bytes": 1000,
    "exact": True,
    "transfers": [
        {"peer": "a", "seconds": 2.0, "bytes_received": 10, "sources": {"x": 6, "y": 4}},
        {"peer": "b", "seconds": 1.5, "bytes_received": 10, "sources": {"a": 10}},
    ],
    "one_uplink_seconds": 6.0,
}


def test_a_good_report_passes() -> None:
    checked = report.check(json.dumps(GOOD))
    assert checked.speed_up == pytest.approx(3.0)
    assert json.loads(checked.model_dump_json()) == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"exact": False},
        {"instances": 0},
        {"bytes": "1000"},
        {"transfers": []},
        {"another": 1},
        {"one_uplink_seconds": None},
        {"transfers": [{"peer": "a", "seconds": 2.0, "bytes_received": 9, "sources": {"x": 6}}]},
    ],
)
def test_a_bad_report_does_not(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"validation error|identical|add up"):
        report.check(json.dumps(GOOD | change))


def test_the_command_says_so_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "demo.json"
    monkeypatch.setattr("sys.argv", ["report", str(file)])
    assert report.main() == 1
    file.write_text(json.dumps(GOOD))
    assert report.main() == 0
    assert "3.00 times one uplink" in capsys.readouterr().out
