"""What several benchmarks do: make a study, add a hospital, fetch, fill the replicas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio

from p2pacs.dataset.instance import EncodedInstance
from scripts import phantom
from scripts.loaded import LoadedStudy, load_folder
from scripts.member import PeerProcess
from scripts.network import Network
from tests.components import StoreScp

POLL_SECONDS: Final = 0.1
CATALOGUE_SECONDS: Final = 90.0
LONGEST_SECONDS: Final = 900.0


async def make_study(folder: Path, instances: Iterable[EncodedInstance]) -> LoadedStudy:
    """Writes these instances as files below ``folder``."""

    def make() -> LoadedStudy:
        phantom.write(folder / "study", instances)
        return load_folder(folder / "study")

    return await trio.to_thread.run_sync(make)


async def hospital(
    net: Network, name: str, host: str, receiver: StoreScp | None = None
) -> PeerProcess:
    """Adds a hospital and starts it.

    Args:
        net: the network that it joins.
        name: its name.
        host: where it is.
        receiver: a workstation that it may send to.
    """
    destinations = {} if receiver is None else {receiver.aet: f"127.0.0.1:{receiver.port}"}
    peer = await net.add(name, "hospital", host, destinations)
    await peer.start()
    return peer


async def timed_fetch(peer: PeerProcess, study: LoadedStudy) -> float:
    """Has a peer fetch the study; seconds from asking until it is complete."""
    await peer.ready(partial(peer.knows, study.uid), CATALOGUE_SECONDS)
    begin = trio.current_time()
    await peer.fetch(study.uid)
    await peer.complete(POLL_SECONDS, LONGEST_SECONDS)
    return trio.current_time() - begin


async def fill_replicas(
    net: Network, study: LoadedStudy, names: Sequence[str], host: str = "127.1.0.8"
) -> None:
    """Has the study staged by a hospital on the replicas' LAN, and waits until all have it.

    Args:
        net: the network, its replicas running.
        study: what they shall hold.
        names: of the replicas.
        host: where the hospital is for as long as it takes.
    """
    beside = await hospital(net, "beside", host)
    await timed_fetch(beside, study)
    for name in names:
        await net.peers[name].complete(POLL_SECONDS, LONGEST_SECONDS)
    await beside.stop()
