"""`scripts/demo --send`: a scanner stores in a hospital; PACS and another hospital get the study.

Beside it, at the same time, the same study goes by one C-STORE over an uplink of the same rate (a
relay paces it), to another PACS: what one hospital does today to reach one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final

import trio
from rich.console import Console
from rich.table import Table

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.units import Endpoint, format_bytes, parse_rate
from peer.api.client import PeerClient
from scripts.live import Live
from scripts.loaded import LoadedStudy
from scripts.member import PeerProcess
from scripts.network import LineRates, Network, network, set_toml
from scripts.pacs import AET as ARCHIVE
from scripts.pacs import EmptyPacs, open_empty_pacs
from scripts.program import ScriptError
from scripts.relay import uplink_relay
from scripts.report import SendReport
from scripts.workstation import AET, Workstation, workstation

SLICES: Final = 7
SENDER: Final = ("hospital-a", "127.2.0.1")
READER: Final = ("hospital-b", "127.2.0.2")
REPLICA: Final = ("replica-1", "127.1.0.2")
OTHER_PACS: Final = "127.1.0.10"
SCANNER: Final = "CT1"
TIMES: Final = ("scanner", "preview", "reader", "pacs", "c_store")
LOOK_SECONDS: Final = 0.05
LONGEST_SECONDS: Final = 900.0


async def send(
    study: LoadedStudy, pacs: str, lines: LineRates, folder: Path, to: Console
) -> SendReport:
    """Has a hospital send a study.

    Args:
        study: that its scanner has.
        pacs: which one (`scripts.pacs.PACS`); it is empty.
        lines: of every hospital.
        folder: where everything is kept.
        to: where what happens is said.
    """
    to.print(f"A study of {len(study.paths)} instances, {format_bytes(study.size)}.")
    async with open_empty_pacs(pacs, folder) as home, workstation() as station:
        to.print("Starting a broker, a replica and two hospitals; the PACS is empty …")
        async with network(folder, lines, home.address) as net:
            with net.explained():
                return await _Sending(net, study, home, to).run(station, lines)


class _Sending:
    """One run of it."""

    def __init__(self, net: Network, study: LoadedStudy, pacs: EmptyPacs, to: Console) -> None:
        self._net = net
        self._study = study
        self._pacs = pacs
        self._console = to
        self._times: dict[str, float] = {}
        self._begin = 0.0

    async def run(self, station: Workstation, lines: LineRates) -> SendReport:
        """Start the members, have the scanner store, and see who has what when.

        Args:
            station: a workstation of the reader's.
            lines: of every hospital.
        """
        sender, reader = await self._start(station)
        async with open_empty_pacs("embedded", self._net.folder / "other", OTHER_PACS) as other:
            with trio.fail_after(LONGEST_SECONDS):
                async with trio.open_nursery() as nursery:
                    self._begin = trio.current_time()
                    nursery.start_soon(self._scan, sender)
                    nursery.start_soon(self._home)
                    nursery.start_soon(self._read, reader)
                    nursery.start_soon(self._c_store, other.address, lines)
        return await self._report(sender, reader, station)

    async def _start(self, station: Workstation) -> tuple[PeerProcess, PeerProcess]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._add, REPLICA, "replica")
            nursery.start_soon(self._add, SENDER, "hospital", None, {"sending.enabled": True})
            nursery.start_soon(self._add, READER, "hospital", {AET: str(station.endpoint)})
        return self._net.peers[SENDER[0]], self._net.peers[READER[0]]

    async def _add(
        self,
        member: tuple[str, str],
        role: str,
        workstations: Mapping[str, str] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        peer = await self._net.add(member[0], role, member[1], workstations)
        set_toml(peer.folder / "peer.toml", settings or {})
        await peer.start()

    # ------------------------------------------------------------ what happens

    def _now(self, name: str, said: str) -> None:
        self._times[name] = seconds = trio.current_time() - self._begin
        self._console.print(f"{seconds:6.1f} s  {said}", highlight=False)

    async def _scan(self, sender: PeerProcess) -> None:
        await DimseClient(sender.gateway, SCANNER).store(self._study.instances())
        self._now("scanner", f"The scanner is done: {sender.name} has taken all.")

    async def _home(self) -> None:
        wanted = len(self._study.paths)
        while await trio.to_thread.run_sync(self._pacs.count) < wanted:
            await trio.sleep(LOOK_SECONDS)
        self._now("pacs", "The PACS has every instance.")

    async def _read(self, reader: PeerProcess) -> None:
        """As somebody in the other hospital who waits for the study."""
        async with PeerClient.connect(reader.folder) as client:
            while not await client.find({"study_instance_uid": self._study.uid}):
                await trio.sleep(LOOK_SECONDS)
            self._now("found", f"{reader.name} finds the study, and fetches it.")
            of = await client.fetch(self._study.uid)
            live = Live(self._console).following(reader, reader.name)
            async with live, trio.open_nursery() as nursery:
                nursery.start_soon(self._previews, client, of)
                await self._instances(client, of)
                self._now("reader", f"{reader.name} has every instance.")

    async def _instances(self, client: PeerClient, of: str) -> None:
        whole = 0
        async with client.instances(of) as lines, aclosing(lines):
            async for line in lines:
                whole += "number" in line
                if whole == len(self._study.paths):
                    return

    async def _previews(self, client: PeerClient, of: str) -> None:
        async with client.levels(of) as lines, aclosing(lines):
            async for line in lines:
                if line.get("level") is not None:
                    self._now("preview", "A first image can be looked at there.")
                    return

    async def _c_store(self, address: str, lines: LineRates) -> None:
        """The same study to another PACS, by C-STORE over an uplink of the same rate."""
        _, _, place = address.partition("@")
        rate = parse_rate(lines.uplink or "")
        async with uplink_relay(rate, Endpoint.parse(place), OTHER_PACS) as door:
            remote = DimseRemote(ARCHIVE, door.host, door.port)
            await DimseClient(remote, SCANNER).store(self._study.instances())
        self._now("c_store", "One C-STORE over such an uplink, to one PACS, is done.")

    # ------------------------------------------------------------ what came of it

    async def _report(
        self, sender: PeerProcess, reader: PeerProcess, station: Workstation
    ) -> SendReport:
        await reader.complete(LOOK_SECONDS, LONGEST_SECONDS)
        received = await station.move(reader.gateway, self._study.uid)
        at_pacs = await trio.to_thread.run_sync(self._pacs.digests)
        transfer = await reader.transfer()
        if transfer is None:
            raise ScriptError(f"{reader.name} has the study without a transfer")
        async with PeerClient.connect(sender.folder) as client:
            sent = sum(one["bytes"] for one in (await client.status())["uploads"])
        seconds = {f"{name}_seconds": round(self._times[name], 2) for name in TIMES}
        return SendReport(
            instances=len(self._study.paths),
            bytes=self._study.size,
            coded_bytes=transfer.bytes_total,
            sent_bytes=sent,
            exact=received == at_pacs == self._study.digests,
            **seconds,
        )


def table(report: SendReport) -> Table:
    """The result for people."""
    made = Table(title="One study, from a scanner to two places", title_justify="left")
    made.add_column("who has it")
    made.add_column("seconds", justify="right")
    name, reader = SENDER[0], READER[0]
    for what, seconds in (
        (f"{name} has taken it from the scanner", report.scanner_seconds),
        (f"{reader} can look at a first image", report.preview_seconds),
        (f"{reader} has every instance", report.reader_seconds),
        ("the PACS has every instance", report.pacs_seconds),
        ("by one C-STORE over such an uplink: one PACS, nobody else", report.c_store_seconds),
    ):
        made.add_row(what, f"{seconds:.1f}")
    made.caption = (
        f"{report.instances} instances, {format_bytes(report.bytes)}; coded "
        f"{format_bytes(report.coded_bytes)}, of which {format_bytes(report.sent_bytes)} left "
        f"{name}'s uplink for both. {'All came out exact' if report.exact else 'NOT IDENTICAL'}; "
        f"both had it {report.speed_up:.1f} times as fast as one by C-STORE."
    )
    made.caption_justify = "left"
    return made
