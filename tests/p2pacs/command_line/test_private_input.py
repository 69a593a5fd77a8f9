import io
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from p2pacs.command_line.private_input import MOST_BYTES, STANDARD_INPUT, read_private, sure
from p2pacs.errors import UsageError


def test_a_file_gives_its_text_without_the_line_end(tmp_path: Path) -> None:
    for content in (b"secret", b"secret\n", b"secret\r\n", b"\xef\xbb\xbfsecret\n"):
        (tmp_path / "f").write_bytes(content)
        assert read_private(tmp_path / "f", "Token") == "secret"


@pytest.mark.parametrize("source", [None, STANDARD_INPUT])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, source: Path | None) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"secret\n")))
    assert read_private(source, "Token") == "secret"


ASK = """
import os, sys
os.open(os.ttyname(0), os.O_RDWR)  # the first terminal that a session opens is its own
from p2pacs.command_line.private_input import read_private
print("got", read_private(None, "Token", hidden=sys.argv[1] == "hidden"))
"""


@pytest.mark.parametrize(("how", "prompt"), [("hidden", b"Token: "), ("shown", b"Token:")])
def test_a_terminal_is_asked(how: str, prompt: bytes) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ASK, how],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while prompt not in shown:  # what is typed before a hidden prompt is whole is dropped
        shown += os.read(ours, 100)
    os.write(ours, b"typed\n")
    out, _ = process.communicate(timeout=60)
    assert out.strip() == b"got typed"
    os.set_blocking(ours, False)
    with suppress(OSError):  # EIO: all of it was read, nobody writes any more
        while more := os.read(ours, 100):
            shown += more
    os.close(ours)
    assert (b"typed" in shown) is (how == "shown")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "f holds nothing: token is expected"),
        (b"\n", "f holds nothing"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"x" * (MOST_BYTES + 1), "too long"),
        (None, "f cannot be read: No such file"),
    ],
)
def test_what_cannot_be_it(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "f").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_private(tmp_path / "f", "Token")


@pytest.mark.parametrize("answer", ["", "\n", None])
def test_nobody_is_sure_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    monkeypatch.setattr("sys.stdin", None if answer is None else io.StringIO(answer))
    with pytest.raises(UsageError, match=r"Expel North\? Nobody is there to be asked: add --yes"):
        sure("Expel North")


@pytest.mark.parametrize("answer", ["n\n", "No", "North\n"])
def test_a_no_on_standard_input_is_heard(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    with pytest.raises(UsageError, match=r"^nothing was changed$"):
        sure("Expel North")


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_a_yes_on_standard_input_is_heard(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    sure("Expel North")
