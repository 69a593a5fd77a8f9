"""The opponent of peer to peer: rsync over ssh with AES-256-GCM, on loopback.

An ssh server of its own on a free port, with keys made for this run: the machine's own server
and its users' keys are neither used nor changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import frozen

from scripts.program import Command, ScriptError, free_port, listens, output_of, running

HOST = "127.0.0.1"
CIPHER = "aes256-gcm@openssh.com"
COPY_SECONDS = 600.0
PRIVILEGE_SEPARATION = Path("/run/sshd")
"""A folder that sshd wants when it runs as root; Debian makes it with the service."""


@frozen
class Ssh:
    """A running server and how to reach it."""

    folder: Path
    port: int

    async def copy(self, source: Path, target: Path) -> float:
        """Copies a folder with rsync over ssh; the seconds it took."""
        shell = (
            f"ssh -p {self.port} -c {CIPHER} -i {self.folder / 'user'} -F none"
            " -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        )
        command: Command = ["rsync", "-a", "-e", shell, f"{source}/", f"{HOST}:{target}/"]
        begin = trio.current_time()
        await output_of("rsync", command, self.folder / "rsync.log", seconds=COPY_SECONDS)
        return trio.current_time() - begin


@asynccontextmanager
async def ssh_server(folder: Path) -> AsyncIterator[Ssh]:
    """An ssh server for this user alone, while the block runs."""
    server = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if server is None or shutil.which("rsync") is None:
        raise ScriptError("rsync and sshd are needed. Debian: apt-get install rsync openssh-server")
    folder.mkdir()
    port, log = free_port(HOST), folder / "sshd.log"
    for key in ("host", "user"):
        command: Command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key]
        await output_of("ssh-keygen", command, log)
    settings = folder / "sshd_config"
    settings.write_text(
        f"ListenAddress {HOST}:{port}\n"
        f"HostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'user.pub'}\n"
        f"Ciphers {CIPHER}\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "StrictModes no\nUsePAM no\nPidFile none\n",
        encoding="utf-8",
    )
    made = os.geteuid() == 0 and not PRIVILEGE_SEPARATION.exists()
    if made:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    try:
        async with running("sshd", [server, "-D", "-e", "-f", settings], log) as program:
            await program.ready(lambda: trio.to_thread.run_sync(listens, HOST, port))
            yield Ssh(folder, port)
    finally:
        if made:
            PRIVILEGE_SEPARATION.rmdir()
