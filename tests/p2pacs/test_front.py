import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import pytest
import typer

from p2pacs import front
from p2pacs.errors import NotFoundError, StateError
from p2pacs.output.tables import width


def _main(arguments: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        front.main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_help_lists_all_commands_without_importing_a_side() -> None:
    code = (
        "import sys; from p2pacs import front as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'broker.commands.cli', 'peer.commands.cli', 'sqlalchemy', 'pynetdicom'}\n"
        "heavy |= {'cryptography', 'trio'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"
    for name in ("broker", "peer", "find", "get", "status", "sent"):
        assert f" {name} " in done.stdout
    assert "archive" not in done.stdout


@pytest.mark.parametrize("name", [*front.SIDES, *front.SHORTCUTS])
def test_what_is_listed_is_what_the_commands_say(name: str) -> None:
    app = front.build(name)
    commands = [one.callback for one in app.registered_commands]
    groups = {one.name or "": one.typer_instance for one in app.registered_groups}
    if name in front.SIDES:
        group = groups[name]
        assert group is not None
        assert group.info.help == front.SIDES[name][1]
    else:
        callback = next(c for c in commands if c is not None and c.__name__ == name)
        assert (callback.__doc__ or "").splitlines()[0] == front.SHORTCUTS[name]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["--version"]) == 0
    assert capsys.readouterr().out == f"p2pacs {version('p2pacs')}\n"


@pytest.mark.parametrize("command", [[], ["broker"], ["peer", "join"], ["find"], ["broker", "run"]])
def test_a_short_way_to_help(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert _main([*command, "-h"]) == 0
    assert "Usage: p2pacs" in capsys.readouterr().out


def test_no_or_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert _main([]) == 2
    assert _main(["bake"]) == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["find", "x", "--patient-id", "\udcff"], ["status", "\udcff\udcfe"], ["\udcff"]]
)
def test_arguments_are_text(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Python keeps bytes that are no text as half characters, which nothing can write."""
    assert _main(command) == 2
    err = capsys.readouterr().err
    assert f"argument {len(command)} is no text" in err
    assert "\udcff" not in err


def _failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(_wanted: str) -> None:
        raise error

    monkeypatch.setattr(front, "build", fail)


def test_errors_are_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(monkeypatch, NotFoundError("no such member"))
    assert _main(["broker", "revoke"]) == NotFoundError.exit_code
    assert capsys.readouterr().err == "p2pacs: no such member\n"


def test_errors_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(monkeypatch, ExceptionGroup("nursery", [StateError("not joined")]))
    assert _main(["status", "x", "--json"]) == StateError.exit_code
    assert json.loads(capsys.readouterr().err) == {
        "error": "StateError",
        "message": "not joined",
        "transient": False,
    }


def test_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, KeyboardInterrupt())
    assert _main([]) == 130


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, ExceptionGroup("nursery", [KeyError("bug")]))
    with pytest.raises(ExceptionGroup):
        front.main([])


LISTS = {
    ("broker", "members"),
    ("broker", "audit"),
    ("broker", "admins"),
    ("peer", "user", "list"),
    ("find",),
    ("doctor",),
    ("broker", "may"),
    ("broker", "status"),
    ("viewer", "status"),
    ("status",),
    ("sent",),
}
"""Commands that print what they found, and change nothing."""


def _commands() -> dict[tuple[str, ...], set[str]]:
    """All commands with their options that take no value."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        if inner := getattr(command, "commands", None):
            for name, one in inner.items():
                walk(one, (*path, name))
        else:
            flags = (one for one in command.params if getattr(one, "is_flag", False))
            found[path] = {option for one in flags for option in one.opts}

    for name in (*front.SIDES, *front.SHORTCUTS, "completion", "doctor"):
        walk(typer.main.get_command(front.build(name)).commands[name], (name,))
    return found


def test_each_help_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = _commands()
    groups = {path[:-1] for path in commands}
    assert len(commands) > 25
    for path in (*commands, *groups):
        assert _main([*path, "--help"]) == 0
        for line in capsys.readouterr().out.splitlines():
            assert width(line) <= 80, (path, line)


def test_what_is_found_can_be_had_as_json_and_csv() -> None:
    commands = _commands()
    assert {path for path, options in commands.items() if "--csv" in options} == LISTS
    for path in LISTS:
        assert "--json" in commands[path]
