"""The product in the lab: a broker, replicas that hold the study, hospitals that all want it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from peer.api.client import PeerClient
from scripts import phantom
from scripts.lab.figures import SwarmOutcome
from scripts.lab.lab import HOME, Lab
from scripts.lab.plan import Plan
from scripts.lab.watch import RunWatch, all_ended, quiet
from scripts.loaded import LoadedStudy
from scripts.member import PeerProcess
from scripts.network import Network, network, set_toml
from scripts.pacs import open_pacs
from scripts.program import Program, ScriptError
from scripts.steps import CATALOGUE_SECONDS, fill_replicas, make_study

BESIDE: Final = "beside"
"""The hospital on the replicas' LAN that has the study staged; it is gone before the start."""

STARTING_AT_ONCE: Final = 3
"""Processes that start at the same time: each wants a processor for a second."""

KILL_SECONDS: Final = 2.0
"""From the start until the broker is killed."""

IMAGE_BYTES: Final = 525_000
"""Of one image of noise, coded."""


async def run_ours(lab: Lab, folder: Path, plan: Plan, watch: RunWatch) -> SwarmOutcome:
    """Has all clients fetch a study of about so many bytes at once."""
    images = max(1, round(plan.megabytes * 1e6 / IMAGE_BYTES))
    study = await make_study(folder, phantom.incompressible(images))
    async with (
        open_pacs("embedded", folder, study, HOME) as pacs,
        network(folder, plan.lines, pacs, lab) as net,
    ):
        await start_all(net, "replica", plan.replicas)
        await fill_replicas(net, study, plan.replicas, BESIDE)
        await start_all(net, "hospital", plan.clients)
        clients = [net.peers[name] for name in plan.clients]
        for client in clients:
            await client.ready(partial(client.knows, study.uid), CATALOGUE_SECONDS)
        await quiet(lab)
        return await _fetch_all(net, clients, study, plan, watch)


async def start_all(
    net: Network, role: str, names: Sequence[str], settings: Mapping[str, Any] | None = None
) -> None:
    """Adds and starts members with these settings, a few at a time."""
    limit = trio.CapacityLimiter(STARTING_AT_ONCE)

    async def start(name: str) -> None:
        async with limit:
            peer = await net.add(name, role, name)
            set_toml(peer.folder / "peer.toml", {"log.json_lines": True, **(settings or {})})
            await peer.start()

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(start, name)


async def _fetch_all(
    net: Network, clients: Sequence[PeerProcess], study: LoadedStudy, plan: Plan, watch: RunWatch
) -> SwarmOutcome:
    programs = [program for peer in clients if (program := peer.program) is not None]
    offsets = [program.log.stat().st_size for program in programs]
    async with AsyncExitStack() as stack:
        apis = [await stack.enter_async_context(PeerClient.connect(one.folder)) for one in clients]
        await stack.enter_async_context(watch.during(list(net.programs)))
        begin = time.time()
        with trio.move_on_after(plan.longest):
            async with trio.open_nursery() as nursery:
                for api in apis:
                    nursery.start_soon(api.fetch, study.uid)
                if plan.kill_broker and net.broker is not None:
                    nursery.start_soon(_kill, net.broker, watch)
                ends = await all_ended(programs, offsets)
                watch.look()
            size = (await apis[0].status())["transfers"][0]["bytes_total"]
            return SwarmOutcome(begin, ends, size)
    raise ScriptError(f"not all clients had the study within {plan.longest:.0f} s")


async def _kill(broker: Program, watch: RunWatch) -> None:
    await trio.sleep(KILL_SECONDS)
    watch.look()
    broker.kill()
