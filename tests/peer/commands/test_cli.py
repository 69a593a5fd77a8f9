"""The commands as people type them: in this process where that is enough, else as processes."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from sqlalchemy import select

from p2pacs.errors import PacsDataError, SettingsError, StateError, StudyNotFoundError, UsageError
from p2pacs.front import main
from p2pacs.study.study_index import LeftOut
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.web.serving import serve_web
from peer.api.api import make_api, make_token
from peer.api.client import PeerClient
from peer.commands.cli import PriorityName
from peer.commands.get.outcome import GetOutcome
from peer.commands.get.study import get
from peer.config import PEER_DB, PeerSettings, save_peer_settings
from peer.db import fetches, open_database
from tests.components import free_port
from tests.p2pacs.study.samples import instance
from tests.peer.commands.get.test_study import Seen
from tests.peer.fake_peer import STUDY, FakeFetch, FakePeer
from tests.peer.gateway.dimse.test_gateway import received
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid
from tests.peer.test_app import settings_of
from tests.peer.world import instances, open_world
from tests.waiting import eventually

UID = "1.2.840.99"


def run(*arguments: object) -> int:
    """The exit code of a command."""
    try:
        main([str(one) for one in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@contextmanager
def running(folder: Path, fake: FakePeer) -> Iterator[None]:
    """A peer's local interface, in a thread of its own."""
    said = {"name": "a", "listen": ["127.0.0.1:1"], "api": f"127.0.0.1:{free_port()}"}
    settings = PeerSettings.model_validate(said)
    save_peer_settings(folder, settings)
    app = make_api(fake, make_token(folder))
    ready, stop, tokens = threading.Event(), trio.Event(), list[Any]()

    async def serve() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        async with trio.open_nursery() as nursery:

            async def web(*, task_status: Any) -> None:
                await serve_web(app, settings.api, stop=stop, task_status=task_status)

            await nursery.start(web)
            ready.set()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(10)
    yield
    tokens[0].run_sync_soon(stop.set)
    thread.join(10)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakePeer]:
    fake = FakePeer(FakeFetch([instance(n, rows=8, columns=8) for n in (1, 2)]))
    with running(tmp_path, fake):
        yield fake


def test_get_writes_files_and_says_so(
    fake: FakePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("get", tmp_path, UID, "--out", out) == 0
    assert "2 instances in" in capsys.readouterr().out
    assert sorted(path.name for path in out.rglob("*.dcm")) == [
        "00001-00001.dcm",
        "00002-00002.dcm",
    ]
    assert run("get", tmp_path, UID, "--out", out, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["study"], said["kept"], said["out"]) == (str(STUDY), 2, str(out))


def test_get_is_no_success_where_something_was_left_out(
    fake: FakePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when two images have one SOP Instance UID: one of them cannot be had."""
    fake.fetch.left_out = LeftOut((), 1, "1: two different instances with one UID\x1b[2J")
    out = tmp_path / "out"
    assert run("get", tmp_path, UID, "--out", out) == PacsDataError.exit_code
    said = capsys.readouterr()
    assert "2 instances in" in said.out
    assert "one instance is missing" in said.err
    assert "with one UID" in said.err
    assert "\x1b" not in said.err
    assert len(list(out.rglob("*.dcm"))) == 2, "what can be had is there"
    assert run("get", tmp_path, UID, "--out", out, "--json") == PacsDataError.exit_code
    said = capsys.readouterr()
    assert json.loads(said.out)["left_out"] == 1
    assert json.loads(said.err)["error"] == "PacsDataError"


def test_get_draws_a_sheet(
    fake: FakePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fetch.frames = 1
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    assert run("get", tmp_path, UID, "--out", out, "--preview", sheet) == 0
    assert f"2 of 2 images in {sheet}, not for diagnosis" in capsys.readouterr().out
    assert sheet.exists()


@pytest.mark.parametrize(
    ("more", "priority"),
    [([], Priority.INTERACTIVE), (["--stat"], Priority.STAT),
     (["--priority", "stat", "--stat"], Priority.STAT),
     (["--priority", "background"], Priority.BACKGROUND)],
)  # fmt: skip
def test_get_says_how_urgent_it_is(
    fake: FakePeer, tmp_path: Path, more: list[str], priority: Priority
) -> None:
    assert run("get", tmp_path, UID, "--out", tmp_path / "out", *more) == 0
    assert fake.priorities[-1] is priority


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--priority", "urgent"], "--priority is one of stat, interactive, prefetch, background"),
     (["--priority", "background", "--stat"], "contradict each other"),
     (["--preview", "sheet.jpg"], "name the file sheet.png")],
)  # fmt: skip
def test_get_refuses_what_cannot_be(
    tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("get", tmp_path, UID, "--out", tmp_path / "out", *more) == UsageError.exit_code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("role", "said"), [("hospital", "No study matches"), ("replica", "holds no catalogue")]
)
def test_find_says_why_it_found_nothing(
    fake: FakePeer, tmp_path: Path, role: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.found, fake.role = [], role
    assert run("find", tmp_path) == 0
    assert said in capsys.readouterr().err


def test_find_names_the_option_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("find", tmp_path, "--study-date", "2026-01-10") == UsageError.exit_code
    assert "--study-date is a date written as 20260131" in capsys.readouterr().err


def test_join_does_not_offer_what_it_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("peer", "join", "--help") == 0
    shown = capsys.readouterr().out
    usage = next(line for line in shown.splitlines() if "Usage" in line)
    assert usage.rstrip().endswith(("DIR", "{DIR}"))
    assert "``" not in shown


def test_the_priorities_of_the_command_are_those_of_the_swarm() -> None:
    assert {one.value for one in PriorityName} == {one.name.lower() for one in Priority}


def test_find_passes_what_was_given(
    fake: FakePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ["--patient-id", "P*", "--patient-name", "Doe*", "--study-date", "2024-", "--json"]
    assert run("find", tmp_path, *keys, "--modality", "CT") == 0
    assert json.loads(capsys.readouterr().out) == {"studies": [{"patient_id": "P1"}]}
    assert fake.asked == [
        {
            "PatientID": "P*",
            "PatientName": "Doe*",
            "StudyDate": "2024-",
            "ModalitiesInStudy": "CT",
        }
    ]


def test_status_in_json(fake: FakePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "a"


def test_errors_are_one_line_and_have_their_code(
    fake: FakePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.error = StudyNotFoundError("nobody has it")
    command = ["get", tmp_path, UID, "--out", tmp_path / "far" / "out"]
    assert run(*command) == StudyNotFoundError.exit_code
    assert not (tmp_path / "far").exists()
    assert capsys.readouterr().err == "p2pacs: nobody has it\n"
    assert run(*command, "--json") == StudyNotFoundError.exit_code
    assert json.loads(capsys.readouterr().err)["error"] == "StudyNotFoundError"


@pytest.mark.parametrize("command", [["status"], ["find"], ["get", UID, "--out", "out"]])
def test_a_peer_that_does_not_run(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"name": "a", "listen": ["127.0.0.1:1"], "api": f"127.0.0.1:{free_port()}"}
    save_peer_settings(tmp_path, PeerSettings.model_validate(said))
    assert run(command[0], tmp_path, *command[1:]) == StateError.exit_code
    assert f"p2pacs peer run {tmp_path}" in capsys.readouterr().err


def test_wrong_settings_are_named_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "peer.toml").write_text('name = "a"\nlisten = ["nowhere"]\n')
    assert run("peer", "run", tmp_path) == SettingsError.exit_code
    assert "peer.toml:2: listen" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--listen", "nowhere"], ["--listen", "h:1", "--workstation", "VIEWER"]]
)
def test_join_with_what_cannot_be(tmp_path: Path, more: list[str]) -> None:
    assert run("peer", "join", tmp_path / "a", *more) == UsageError.exit_code
    assert not (tmp_path / "a").exists()


def test_join_does_not_take_the_token_where_others_can_read_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["peer", "join", tmp_path / "a", "p2pacs1-xyz", "--listen", "h:1"]
    assert run(*command) == UsageError.exit_code
    said = capsys.readouterr().err
    assert "leave the token out" in said
    assert "p2pacs1-xyz" not in said


@pytest.mark.parametrize("given", ["standard input", "-", "file"])
def test_join_reads_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    source = tmp_path / "token"
    source.write_text("p2pacs1-damaged\n")
    more = {"standard input": [], "-": ["--token-file", "-"], "file": ["--token-file", source]}
    with source.open() as opened:
        monkeypatch.setattr("sys.stdin", opened)
        command = ["peer", "join", tmp_path / "a", "--listen", "h:1", *more[given]]
        assert run(*command) == UsageError.exit_code
    assert "the token is damaged" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_find_reads_its_keys(
    fake: FakePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("patient-name = Doe^J*\n")
    command = ["find", tmp_path, "--modality", "CT", "--keys-file", keys, "--json"]
    assert run(*command) == 0
    assert fake.asked == [{"PatientName": "Doe^J*", "ModalitiesInStudy": "CT"}]
    keys.write_text("patient-nam = Doe^J*\n")
    assert run(*command) == UsageError.exit_code
    said = capsys.readouterr().err
    assert "line 1" in said
    assert "Doe" not in said


def test_get_reads_the_uid(fake: FakePeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "uid"
    source.write_text(f"{UID}\n")
    with source.open() as opened:
        monkeypatch.setattr("sys.stdin", opened)
        assert run("get", tmp_path, "-", "--out", tmp_path / "out") == 0
    assert fake.opened == [UID]


# ---------------------------------------------------------------- as processes


async def _lines(process: trio.Process) -> str:
    assert process.stdout is not None
    text = b""
    while b"\n" not in text:
        received = await process.stdout.receive_some()
        if not received:
            break
        text += received
    return text.decode()


@pytest.mark.system
async def test_a_peer_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        folder = world.register("a")
        settings_of(world, folder)
        command = [sys.executable, "-m", "p2pacs", "peer", "run", str(folder), "--json"]
        log = await trio.Path(tmp_path / "log").open("wb")
        with trio.fail_after(2 * LIMIT):
            process = await trio.lowlevel.open_process(
                command, stdout=subprocess.PIPE, stderr=log.wrapped
            )
            try:
                assert json.loads(await _lines(process))["event"] == "ready"
                address = world.broker.host.mesh.links
                await eventually(lambda: len(address) == 1)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            finally:
                if process.returncode is None:
                    process.kill()
        await log.aclose()
        said = await trio.Path(tmp_path / "log").read_text()
        assert "Traceback" not in said
        assert world.broker.uid not in said


@asynccontextmanager
async def _process(folder: Path) -> AsyncIterator[trio.Process]:
    """A peer as a process of its own."""
    command = [sys.executable, "-m", "p2pacs", "peer", "run", str(folder), "--json"]
    with (folder / "log").open("ab") as log:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=log)
        try:
            assert json.loads(await _lines(process))["event"] == "ready"
            yield process
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()


@pytest.mark.system
async def test_a_peer_that_is_killed_goes_on_and_so_does_get(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(6)
        await world.broker.publish(sent[:3], complete=False)
        folder, out = world.register("a"), tmp_path / "out"
        settings_of(world, folder)
        done: list[GetOutcome] = []

        async def fetch() -> None:
            done.append(await get(folder, world.broker.uid, out, Seen(), "stat"))

        async with trio.open_nursery() as nursery:
            async with _process(folder):
                async with PeerClient.connect(folder) as client:
                    with trio.fail_after(LIMIT):
                        while not await client.find({}):
                            await trio.sleep(0.02)
                nursery.start_soon(fetch)
                await eventually(lambda: any(out.rglob("*-00003.dcm")), LIMIT)
            # Killed without a word. Nobody but the broker knows that there is more now.
            await world.broker.publish(sent[3:])
            async with _process(folder):
                await eventually(lambda: done, 2 * LIMIT)
                async with open_database(folder / PEER_DB) as database:
                    with trio.fail_after(LIMIT):
                        while await database.run(lambda c: c.execute(select(fetches)).all()):
                            await trio.sleep(0.02)
        (outcome,) = done
        assert received(out) == by_uid(sent)
        assert (outcome.written, outcome.kept) == (6, 0)
        assert outcome.transfer["priority"] == "stat"


@pytest.mark.system
def test_get_can_be_interrupted_and_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    fake = FakePeer(FakeFetch([instance(n, rows=8, columns=8) for n in (1, 2, 3)]))
    fake.fetch.stops_after = 2
    out = tmp_path / "out"
    with running(folder, fake):
        command = [sys.executable, "-m", "p2pacs", "get", str(folder), UID, "--out", str(out)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        trio.run(eventually, lambda: any(out.rglob("*-00002.dcm")), 2 * LIMIT)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT)
        assert process.returncode == 130
        assert "run the same command again" in said
        assert "Traceback" not in said
        assert fake.fetch.given_up
        fake.fetch.stops_after = None
        assert run("get", folder, UID, "--out", out) == 0
    assert len(list(out.rglob("*.dcm"))) == 3
