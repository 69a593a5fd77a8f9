"""Peer, broker and PACS are killed at random moments while scanners store: what was answered with
success is in the PACS at the end, exact.

Every program is a process of its own, as on real machines. `P2PACS_KILLS` says how many (50 take
five minutes), `P2PACS_SEED` which.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import pytest
import trio
from attrs import define, field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.errors import P2PacsError
from scripts.network import LineRates, Network, network, set_toml
from scripts.program import P2PACS, Command, Program, free_port, listens, running
from tests.conformance.instances import make

KILLS: Final = int(os.environ.get("P2PACS_KILLS", "6"))
SEED: Final = int(os.environ.get("P2PACS_SEED", "1"))
SCANNERS: Final = 2
STUDY: Final = 12
"""Instances of a study."""
PATIENCE: Final = 240.0
"""Seconds in which the rest must be home once nothing is killed any more."""
PACS_HOST: Final = "127.1.0.9"


@frozen
class Victim:
    """A program that is killed and started again."""

    name: str
    program: Callable[[], Program | None]
    start: Callable[[], Awaitable[None]]


@define
class Scanner:
    """Stores study after study, each instance once, whatever becomes of it."""

    number: int
    remote: DimseRemote
    random: Random
    answered: dict[str, EncodedInstance] = field(factory=dict)
    """SOP Instance UID → what was answered with success."""
    sent: int = 0

    async def run(self, enough: trio.Event) -> None:
        study = 0
        while not enough.is_set():
            study += 1
            uid = f"1.2.826.{self.number}.{study}"
            for number in range(1, STUDY + 1):
                one = make(uid, 1 + number % 2, number, size=self.random.choice((64, 128, 512)))
                await self.store(one)

    async def store(self, one: EncodedInstance) -> None:
        self.sent += 1
        try:
            await DimseClient(self.remote, "CT1").store([one])
        except P2PacsError:
            await trio.sleep(0.2)  # its peer was killed: as a scanner that gives up
        else:
            self.answered[one.sop_instance_uid] = one
            await trio.sleep(self.random.uniform(0, 0.1))


@define
class Pacs:
    """The central PACS, which can be started again."""

    folder: Path
    port: int = field(factory=partial(free_port, PACS_HOST))
    program: Program | None = None

    @property
    def address(self) -> str:
        return f"dimse://PACS@{PACS_HOST}:{self.port}?retrieve=get"

    async def start(self, stack: AsyncExitStack) -> None:
        command: Command = [*P2PACS, "archive", self.folder, "--aet", "PACS"]
        command += ["--dicom", f"{PACS_HOST}:{self.port}"]
        log = self.folder.with_suffix(".log")
        self.program = await stack.enter_async_context(running("archive", command, log))
        await self.program.ready(self._answers)

    async def _answers(self) -> bool:
        return await trio.to_thread.run_sync(listens, PACS_HOST, self.port)

    def lacks(self, answered: dict[str, EncodedInstance]) -> list[str]:
        """What it does not have, or not exactly."""
        held = {
            one.sop_instance_uid: one
            for path in self.folder.glob("*.dcm")
            for one in [EncodedInstance.from_part10(path.read_bytes())]
        }
        return sorted(uid for uid, one in answered.items() if held.get(uid) != one)


async def kill_some(victims: list[Victim], random: Random) -> None:
    for number in range(1, KILLS + 1):
        await trio.sleep(random.uniform(0, 3))
        victim = random.choice(victims)
        program = victim.program()
        assert program is not None
        assert program.returncode is None, f"{victim.name} ended by itself"
        program.kill()
        print(f"kill {number}: {victim.name}")  # noqa: T201
        await trio.sleep(random.uniform(0, 0.5))
        with trio.move_on_after(random.uniform(1, 6)):  # the next one may come while it starts
            await victim.start()


def logged(net: Network) -> str:
    return "\n".join(net.logs())


@pytest.mark.system
@pytest.mark.timeout(120 + 10 * KILLS + PATIENCE)
async def test_what_was_answered_is_home_whatever_is_killed(tmp_path: Path) -> None:
    random = Random(SEED)  # noqa: S311
    pacs = Pacs(tmp_path / "pacs")
    async with AsyncExitStack() as stack:
        await pacs.start(stack)
        net = await stack.enter_async_context(
            network(tmp_path, LineRates(None, None), pacs.address)
        )
        peer = await net.add("hospital", "hospital", "127.2.0.1")
        set_toml(peer.folder / "peer.toml", {"sending.enabled": True})
        await peer.start()
        victims = [
            Victim("peer", lambda: peer.program, peer.start),
            Victim("broker", lambda: net.broker, partial(net.run_broker, stack)),
            Victim("PACS", lambda: pacs.program, partial(pacs.start, stack)),
        ]
        scanners = [
            Scanner(number, peer.gateway, Random(random.random()))  # noqa: S311
            for number in range(1, SCANNERS + 1)
        ]
        enough = trio.Event()
        async with trio.open_nursery() as nursery:
            for scanner in scanners:
                nursery.start_soon(scanner.run, enough)
            await kill_some(victims, random)
            enough.set()
        answered = {uid: one for scanner in scanners for uid, one in scanner.answered.items()}
        sent, began = sum(scanner.sent for scanner in scanners), trio.current_time()
        print(f"{KILLS} kills: {sent} sent, {len(answered)} answered with success")  # noqa: T201
        with trio.move_on_after(PATIENCE):
            while pacs.lacks(answered):
                await trio.sleep(1)
        print(f"home after {trio.current_time() - began:.0f} s")  # noqa: T201
        lacks = pacs.lacks(answered)
        assert len(answered) > len(scanners) * STUDY
        assert not lacks, f"{len(lacks)} of {len(answered)} are not home\n{logged(net)}"
