"""A real bash completes; what it is told for the others is the same, asked for as they do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pacs import front
from p2pacs.command_line.completion import VARIABLE, CompletedShell, completed_command

COMPLETE = """
eval "$(p2pacs completion bash)"
complete -p p2pacs >/dev/null || exit 9
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
_p2pacs_completion p2pacs "${{COMP_WORDS[$COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def _environment(tmp_path: Path) -> dict[str, str]:
    """With a p2pacs of this code on the path."""
    program = tmp_path / "p2pacs"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m p2pacs "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("p2pacs pe", ["peer"]),
        ("p2pacs peer jo", ["join"]),
        ("p2pacs broker members --j", ["--json"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: str, completed: list[str]) -> None:
    done = subprocess.run(
        ["bash", "-c", COMPLETE.format(words=words)],
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert (done.stdout.split(), done.stderr) == (completed, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_others_are_told_the_same(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "p2pacs peer jo")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    with pytest.raises(SystemExit) as ended:
        front.main([])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "join" in said
    assert "revoke" not in said


@pytest.mark.parametrize("shell", list(CompletedShell))
def test_each_shell_has_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        front.main(["completion", shell])
    assert ended.value.code == 0
    assert VARIABLE in capsys.readouterr().out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        front.main(["completion", "csh"])
    assert ended.value.code == 2
    assert "csh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, None),
        ({"COMP_WORDS": "p2pacs broker"}, None),
        ({VARIABLE: "complete_bash", "COMP_WORDS": "p2pacs broker mem"}, "broker"),
        ({VARIABLE: "complete_zsh", "_TYPER_COMPLETE_ARGS": "p2pacs --help peer "}, "peer"),
        ({VARIABLE: "complete_zsh", "_TYPER_COMPLETE_ARGS": "p2pacs "}, ""),
        ({VARIABLE: "complete_zsh"}, ""),
    ],
)
def test_only_the_side_that_is_typed_is_read(
    environment: dict[str, str], command: str | None
) -> None:
    assert completed_command(environment) == command
