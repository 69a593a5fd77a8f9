import os
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = "import os, sys; from p2pacs.process import standard_streams as s; s.mend()\n"


def _run(code: str, **streams: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + code], text=True, check=False, timeout=60, **streams
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes them there")
def test_what_is_missing_is_open_and_no_file_takes_its_number(tmp_path: Path) -> None:
    code = (
        f"file = open({str(tmp_path / 'study')!r}, 'w+')\n"
        "print('to output'); print('to error', file=sys.stderr)\n"
        "os.write(2, b'of a library')\n"
        "import subprocess\n"
        "child = subprocess.run([sys.executable, '-c', 'import sys; print(sys.stderr)'],\n"
        "                       stdout=subprocess.PIPE, text=True)\n"
        "file.write(f'{sys.stdin.read()!r} {file.fileno() > 2} {\"name\" in child.stdout}')\n"
    )
    shell = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, "-c", BEGIN + code]
    assert subprocess.run(shell, check=False, timeout=60).returncode == 0
    assert (tmp_path / "study").read_text() == "'' True True"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_need_hear_what_is_said_on_standard_error(
    unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reading, writing = os.pipe()
    os.close(reading)
    code = "for n in range(9): print('x' * 9000, file=sys.stderr)\nprint('done')"
    try:
        done = _run(code, stdout=subprocess.PIPE, stderr=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_log_on_a_full_disk_ends_nothing() -> None:
    code = (
        "from p2pacs.process import logs; import logging, structlog\n"
        "logs.configure('info', json=False)\n"
        "structlog.get_logger('x').info('linked'); logging.getLogger('y').warning('odd')\n"
        "print('done')"
    )
    with Path("/dev/full").open("w") as full:
        done = _run(code, stdout=subprocess.PIPE, stderr=full.fileno())
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_a_slow_reader_stops_nobody() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    code = "for n in range(99): print('x' * 9000, file=sys.stderr)\nprint('done')"
    try:
        done = _run(code, stdout=subprocess.PIPE, stderr=writing)
    finally:
        os.close(writing)
        os.close(reading)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_names_that_the_terminal_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert _run("print('Grün')", stdout=subprocess.PIPE).stdout == "Gr\\xfcn\n"
