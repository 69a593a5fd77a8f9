"""Ctrl-C while ``p2pacs send`` is at work: a process of its own, a real spool."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio

from p2pacs.front import INTERRUPTED
from peer.ingest.incoming_files import IncomingFile, IncomingFiles
from peer.spool.spool import Spool
from tests.conformance.instances import make
from tests.peer.commands.test_cli import running
from tests.peer.fake_peer import FakePeer
from tests.peer.fake_sending import FakeSending
from tests.waiting import eventually

UID = "1.2.826.7"
FILES, TAKEN = 40, 10
LIMIT = 30


def member() -> None:
    """It is one."""


class Holding(IncomingFiles):
    """Takes some files; all further ones stay on their way."""

    begun = 0
    most = TAKEN

    @asynccontextmanager
    async def receive(self, caller: str, study: str | None) -> AsyncIterator[IncomingFile]:
        self.begun += 1
        if self.begun > self.most:
            await trio.sleep_forever()
        async with super().receive(caller, study) as incoming:
            yield incoming


def start(folder: Path, files: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "p2pacs", "send", str(folder), str(files), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupted(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=LIMIT)
    assert (process.returncode, told) == (INTERRUPTED, "")
    (line,) = said.splitlines()
    assert "run the same command again" in line


@pytest.mark.system
def test_what_was_taken_before_ctrl_c_stays_and_the_rest_follows(tmp_path: Path) -> None:
    folder, files = tmp_path / "a", tmp_path / "files"
    folder.mkdir()
    files.mkdir()
    for number in range(1, FILES + 1):
        (files / f"{number}.dcm").write_bytes(make(UID, 1, number).part10())
    with closing(Spool(folder / "spool", reserve=0)) as spool:
        fake = FakePeer(sent=FakeSending(spool).desk)
        fake.incoming = holding = Holding(spool, "HOSPITAL", member)
        with running(folder, fake):

            def taken() -> int:
                return len(spool.index.list_instances(UID))

            process = start(folder, files)
            trio.run(eventually, lambda: taken() == TAKEN < holding.begun, LIMIT)
            interrupted(process)
            assert taken() == TAKEN
            holding.most = FILES * 2
            process = start(folder, files, "--wait", "--json")
            trio.run(eventually, lambda: taken() == FILES, LIMIT)
            interrupted(process)  # while it waits for the PACS
            process = start(folder, files, "--json")
            told, _ = process.communicate(timeout=LIMIT)
            assert process.returncode == 0
            assert json.loads(told)["known"] == FILES
