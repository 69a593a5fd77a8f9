"""A hospital sends: the command line, what the demo shows, and (system) a small study both ways."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from scripts import demo, sending
from scripts.report import SendReport

ROOT = Path(__file__).parent.parent.parent

REPORT = SendReport(
    instances=7,
    bytes=4_000_000,
    coded_bytes=1_000_000,
    sent_bytes=1_000_000,
    exact=True,
    scanner_seconds=0.4,
    preview_seconds=1.4,
    reader_seconds=11.0,
    pacs_seconds=12.0,
    c_store_seconds=42.0,
)


def shown(report: SendReport) -> str:
    text = io.StringIO()
    Console(file=text, width=120).print(sending.table(report))
    return text.getvalue()


def test_the_command_line() -> None:
    assert not demo.parse([]).send
    options = demo.parse(["--send"])
    assert (options.send, options.slices) == (True, sending.SLICES)
    assert demo.parse(["--send", "--slices", "3"]).slices == 3
    with pytest.raises(SystemExit):
        demo.parse(["--send", "--web"])


def test_the_table_says_who_has_it_when() -> None:
    text = shown(REPORT)
    for said in (
        "hospital-b has every instance",
        "11.0",
        "42.0",
        "All came out exact",
        "3.5 times",
    ):
        assert said in text
    assert "NOT IDENTICAL" in shown(REPORT.model_copy(update={"exact": False}))


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_small_study_comes_to_both() -> None:
    command = [sys.executable, "-m", "scripts.demo", "--send", "--json", "--slices", "2"]
    done = subprocess.run(
        [*command, "--uplink", "8mbit", "--downlink", "30mbit"],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        encoding="utf-8",
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = SendReport.model_validate(json.loads(done.stdout))
    assert (report.instances, report.exact) == (2, True)
    assert report.coded_bytes <= report.sent_bytes <= 1.1 * report.coded_bytes
    assert report.c_store_seconds > report.bytes / 1_000_000
    assert "The PACS has every instance" in done.stderr
