import errno
import io
import json
import logging
import sys
from pathlib import Path

import pytest
import structlog
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from p2pacs.errors import SettingsError
from p2pacs.files.private_files import Mended
from p2pacs.process import logs


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", json=True)
    structlog.get_logger("here").info("linked", member="North")
    logging.getLogger("library").warning("odd %s", "thing")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0]["event"] == "linked"
    assert lines[0]["member"] == "North"
    assert lines[0]["level"] == "info"
    assert lines[1]["event"] == "odd thing"


def test_what_others_said_is_one_line_and_does_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", json=False)
    said = "gone\x1b[2J\n2026-01-01 [info] all is well\u202e"
    structlog.get_logger("here").info("link refused", member="North", why=said)
    logging.getLogger("library").warning("heard %s", said)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "\\x0a2026-01-01" in line.replace("\\\\", "\\")
        assert not {"\x1b", "\u202e"} & set(line)


def test_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", json=False)
    structlog.get_logger("here").info("hidden")
    structlog.get_logger("here").warning("shown")
    err = capsys.readouterr().err
    assert "shown" in err
    assert "hidden" not in err


@pytest.mark.parametrize("as_json", [True, False])
def test_tracebacks_show_no_local_variables(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    logs.configure("info", json=as_json)
    patient = "DOE^" + "JANE"
    try:
        dict[int, str]()[len(patient)]
    except KeyError:
        structlog.get_logger("here").exception("failed")
    err = capsys.readouterr().err
    assert "KeyError" in err
    assert "DOE^JANE" not in err


def test_dicom_libraries_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", json=False)
    logging.getLogger("pynetdicom.acse").error("identifier 1.2.3")
    logging.getLogger("pydicom").critical("value DOE")
    logging.getLogger("pydicom").setLevel(logging.WARNING)  # as it does itself when imported later
    logging.getLogger("pydicom").warning("Invalid value for VR UI: '1.2.A'")
    assert capsys.readouterr().err == ""


def test_forms_that_are_none_are_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", json=False)
    parser = MultipartParser(b"x")
    with pytest.raises(MultipartParseError):
        parser.write(b"abc")
    assert capsys.readouterr().err == ""


def test_an_unknown_level() -> None:
    with pytest.raises(SettingsError, match="unknown log level 'loud'"):
        logs.configure("loud", json=False)


def test_what_other_accounts_could_open_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("warning", json=True)
    logs.say_mended(tmp_path, Mended(0, ()))
    assert capsys.readouterr().err == ""
    logs.say_mended(tmp_path, Mended(3, tuple(tmp_path / str(n) for n in range(100))))
    closed, *left = map(json.loads, capsys.readouterr().err.splitlines())
    assert (closed["level"], closed["files"], closed["folder"]) == ("warning", 3, str(tmp_path))
    assert [one["path"] for one in left] == [str(tmp_path / str(n)) for n in range(logs.MOST_NAMED)]


class FullDisk(io.StringIO):
    """Standard error into a file whose disk is full at first."""

    room = False

    def write(self, text: str) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_on_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    disk = FullDisk()
    monkeypatch.setattr(sys, "stderr", disk)
    logs.configure("info", json=as_json)
    structlog.get_logger("here").warning("lost")
    logging.getLogger("library").warning("lost, too")
    disk.room = True
    structlog.get_logger("here").warning("kept")
    logging.getLogger("library").warning("kept as well")
    first, second = disk.getvalue().splitlines()
    assert "kept" in first
    assert "kept as well" in second
