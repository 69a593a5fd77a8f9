"""One process a folder."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from p2pacs.errors import StateError
from p2pacs.files.locks import is_locked, locked

HOLD: Final = """
import sys
from pathlib import Path
from p2pacs.files.locks import locked

with locked(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with locked(path, "first"):
        assert is_locked(path)
        with pytest.raises(StateError, match=r"^it runs already$"), locked(path, "it runs already"):
            pass
        assert is_locked(path), "who did not get it does not release it"
    assert not is_locked(path)
    with locked(path, "again"):
        pass


def test_another_process_has_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StateError, match="stop it"), locked(path, "stop it"):
            pass
        process.send_signal(signal.SIGKILL)
    assert not is_locked(path)


def test_the_file_is_its_owners(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with locked(tmp_path / "lock", "taken"):
            assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StateError, match=r"cannot open .*: Is a directory"),
        locked(tmp_path, "taken"),
    ):
        pass
    with pytest.raises(StateError, match="No such file"):
        is_locked(tmp_path / "no" / "lock")


def test_a_file_that_cannot_be_opened_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(StateError, match="Read-only file system; mount its disk") as caught:
        is_locked(tmp_path / "lock")
    assert "user" not in str(caught.value)
