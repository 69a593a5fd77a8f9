"""A network made by the containers' entrypoint, with folders for volumes, behind nginx, twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from scripts.program import Program, free_port, listens, running
from tests.components import HOST
from tests.deploy.compose import DEPLOY, compose, example
from tests.deploy.conftest import Installed
from tests.deploy.proxy import Nginx, nginx
from tests.p2pacs.pages.browser import PASSWORD, Browser

ENTRYPOINT = DEPLOY / "container" / "entrypoint.py"
NAMES = ("broker", "replica-1", "hospital")


class Containers:
    """What compose would run, as processes; and what lies on their volumes."""

    def __init__(self, installed: Installed, folder: Path) -> None:
        self.installed = installed
        self.folder = folder
        self.pages = {name: f"{HOST}:{free_port(HOST)}" for name in ("broker", "hospital")}
        self.environment = self._read()

    def _read(self) -> dict[str, dict[str, str]]:
        read = compose(example() | {"ADMIN": "admin", "PROXY_ADDRESS": HOST})
        broker = f"{HOST}:{free_port(HOST)}"
        (self.folder / "password").write_text(PASSWORD + "\n")
        here = {}
        for name in NAMES:
            said = {
                **read["services"][name]["environment"],
                "P2PACS_DIR": str(self.folder / name),
                "P2PACS_TOKENS": str(self.folder / "tokens"),
                "P2PACS_LISTEN": broker if name == "broker" else f"{HOST}:{free_port(HOST)}",
                "P2PACS_PATIENCE": "100",
                "P2PACS_API": f"{HOST}:{free_port(HOST)}",
            }
            # Nobody is there: a broker runs without its PACS.
            said["P2PACS_PACS"] = "dicomweb+http://127.0.0.1:1/dicom-web"
            said["P2PACS_PASSWORD_FILE"] = str(self.folder / "password")
            if "P2PACS_ADVERTISE" in said:
                said["P2PACS_ADVERTISE"] = said["P2PACS_LISTEN"]
            if name in self.pages:
                said["P2PACS_WEB"] = self.pages[name]
                said["P2PACS_SETTINGS"] = str(self.folder / f"{name}.toml")
                told = read["configs"][name]["content"]
                for port in (8042, 8043):
                    told = told.replace(f"0.0.0.0:{port}", f"{HOST}:{free_port(HOST)}")
                (self.folder / f"{name}.toml").write_text(told)
            if "P2PACS_DICOM" in said:
                said["P2PACS_DICOM"] = f"{HOST}:{free_port(HOST)}"
            here[name] = said
        return here

    def all_of(self, name: str) -> dict[str, str]:
        return self.installed.environment | self.environment[name]

    def health(self, name: str) -> int:
        done = subprocess.run(
            [sys.executable, ENTRYPOINT, "health"],
            env=self.all_of(name),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode

    async def answers(self, name: str) -> bool:
        """Whether what it starts last is there: a broker's pages, a peer's local interface."""
        where = self.environment[name]["P2PACS_WEB" if name == "broker" else "P2PACS_API"]
        return listens(HOST, int(where.rpartition(":")[2]))

    def members(self) -> dict[str, Any]:
        told = self.installed.run(
            "broker", "members", self.folder / "broker", "--json", cwd=self.folder
        )
        return {one["name"]: one for one in json.loads(told)["members"]}

    @asynccontextmanager
    async def up(self, *names: str) -> AsyncIterator[dict[str, Program]]:
        """Some of them, the broker last: the others wait for it."""
        async with AsyncExitStack() as stack:
            programs = {}
            for name in reversed(names):
                command = [sys.executable, ENTRYPOINT, "broker" if name == "broker" else "peer"]
                log = self.folder / f"{name}.log"
                programs[name] = await stack.enter_async_context(
                    running(name, command, log, self.all_of(name) | {"PYTHONPATH": ""})
                )
            for name in names:
                await programs[name].ready(lambda name=name: self.answers(name), seconds=200)
            yield programs


async def _sign_in(proxy: Nginx, name: str) -> None:
    """The pages of the wheel, out of its templates and static files, through nginx."""
    async with proxy.client(name) as http:
        page = await http.get("/login")
        assert page.status_code == 200
        style = await http.get("/static/p2pacs.css")
        assert style.headers["content-type"].startswith("text/css")
        signed = await Browser(http).sign_in("admin")
        assert signed.status_code == 303, signed.text
        assert "Secure" in signed.headers["set-cookie"]
        at_home = await http.get("/", follow_redirects=True)
        assert at_home.status_code == 200
        assert "p2pacs 0" in at_home.text  # the version, in the footer


@pytest.mark.system
@pytest.mark.nginx
@pytest.mark.timeout(400)
async def test_a_network_comes_up_by_itself_and_again(installed: Installed, tmp_path: Path) -> None:
    containers = await trio.to_thread.run_sync(Containers, installed, tmp_path)
    assert await trio.to_thread.run_sync(containers.health, "broker") != 0, "nothing is made yet"
    upstreams = {
        "BROKER_UPSTREAM": containers.pages["broker"],
        "PAGES_UPSTREAM": containers.pages["hospital"],
    }
    async with containers.up(*NAMES):
        assert await trio.to_thread.run_sync(containers.health, "broker") == 0
        before = await trio.to_thread.run_sync(containers.members)
        assert {name for name, one in before.items() if one["joined"]} >= {"replica-1", "hospital"}
        # Of the replica that no container is for, the token waits.
        assert [path.name for path in (tmp_path / "tokens").iterdir()] == ["replica-2"]
        async with nginx(tmp_path / "nginx", upstreams) as proxy:
            await _sign_in(proxy, "BROKER_NAME")
            await _sign_in(proxy, "PAGES_NAME")
    assert await trio.to_thread.run_sync(containers.health, "hospital") != 0
    async with containers.up("broker", "hospital"):
        after = await trio.to_thread.run_sync(containers.members)
    assert {name: one["address"] for name, one in after.items()} == {
        name: one["address"] for name, one in before.items()
    }
    assert all(after[name]["joined"] == before[name]["joined"] for name in after)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["broker"], "P2PACS_PACS is not set"), (["peer"], "P2PACS_NAME is not set")],
)
def test_what_is_missing_is_named(arguments: list[str], said: str, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("P2PACS_")}
    done = subprocess.run(
        [sys.executable, ENTRYPOINT, *arguments],
        env=kept | {"P2PACS_DIR": str(tmp_path / "data"), "P2PACS_TOKENS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert said in done.stderr
