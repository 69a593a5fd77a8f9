"""A process of its own that is stored into and publishes, and says how much memory that took."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import trio
from attrs import define

from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dimse.server.scp import DimseServer
from p2pacs.process import logs
from p2pacs.units import Endpoint
from peer.ingest.intake import Intake
from tests.components import HOST
from tests.peer.ingest.bench import outgoing, running

_STATUS = Path("/proc/self/status")


@define
class Storing:
    """A backend that stores, and nothing else."""

    intake: Intake

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        return self.intake.receive(caller, uids)

    def find(self, *_asked: Any) -> Any:
        raise NotImplementedError

    def retrieve(self, *_asked: Any, **_options: Any) -> Any:
        raise NotImplementedError


def peak() -> int:
    """Bytes that were resident at most since `forget`."""
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget() -> None:
    """What counts for `peak` begins now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


async def main(folder: Path, uid: str) -> None:
    """Print the port; when the study of this UID is published, the bytes that it took more."""
    async with outgoing(folder) as made, running(made):
        backend = Storing(Intake(made.spool))
        async with DimseServer("PEER", Endpoint(HOST, 0), backend, {}, stores=True) as server:
            forget()
            before = peak()
            print(server.port, flush=True)  # noqa: T201
            while made.spool.index.study(uid) is None:
                await trio.sleep(0.05)
            received = peak() - before
            await made.until_done(uid)
            print(received, peak() - before, flush=True)  # noqa: T201


if __name__ == "__main__":
    logs.configure("warning", json=False)
    trio.run(main, Path(sys.argv[1]), sys.argv[2])
