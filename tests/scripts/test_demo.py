"""The demo: its command line, what it shows, and (system) the whole road with a small study."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from scripts import demo
from scripts.report import Report, TransferReport, check

ROOT = Path(__file__).parent.parent.parent


def test_the_lines_are_adsl_unless_said_otherwise() -> None:
    options = demo.parse([])
    assert (options.lines.uplink, options.lines.downlink) == ("800kbit", "3mbit")
    assert (options.pacs, options.dicom, options.json, options.keep) == (
        "embedded",
        None,
        False,
        False,
    )
    options = demo.parse(["--uplink", "2mbit", "--pacs", "orthanc", "--dicom", "x", "--json"])
    assert (options.lines.uplink, options.pacs, options.dicom) == ("2mbit", "orthanc", Path("x"))


@pytest.mark.parametrize(
    "arguments", [["--uplink", "fast"], ["--pacs", "other"], ["--slices", "0"], ["extra"]]
)
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        demo.parse(arguments)
    assert refused.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_table_shows_every_uploader_and_what_was_not_identical() -> None:
    first = TransferReport(
        peer="hospital-a", seconds=10.0, bytes_received=3_000_000, sources={"replica-1": 3_000_000}
    )
    last = TransferReport(
        peer="hospital-c", seconds=30.0, bytes_received=3_000_000, sources={"replica-2": 3_000_000}
    )
    report = Report(
        study="00ff",
        instances=14,
        bytes=7_000_000,
        exact=False,
        transfers=[first],
        one_uplink_seconds=30.0,
    )
    fetched = (demo.HospitalFetch("00ff", first, True), demo.HospitalFetch("00ff", last, False))
    text = io.StringIO()
    Console(file=text, width=120).print(demo.table(demo.DemoResult(report, fetched)))
    for shown in ("hospital-a", "replica-1 3.0 MB", "exact", "NOT IDENTICAL", "3.00 times"):
        assert shown in text.getvalue()


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_small_study_takes_the_whole_road() -> None:
    command = [sys.executable, "-m", "scripts.demo", "--json", "--slices", "2"]
    done = subprocess.run(
        [*command, "--uplink", "8mbit", "--downlink", "30mbit"],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        encoding="utf-8",
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = check(done.stdout)
    assert set(json.loads(done.stdout)) == {
        "study",
        "instances",
        "bytes",
        "exact",
        "transfers",
        "one_uplink_seconds",
    }
    assert (report.instances, report.exact) == (2, True)
    assert [transfer.peer for transfer in report.transfers] == ["hospital-a", "hospital-b"]
    assert not list((ROOT / "demo-run").glob("*/broker")), "the work folder is gone"
