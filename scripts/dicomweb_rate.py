"""`scripts/bench dicomweb`: the DICOMweb services of a hospital beside those of a real Orthanc.

Both have the same study and are asked in turn, over loopback, by one client that keeps its
connection, as viewers do. Searches go over an index of many studies; both have the same ones.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.output.json_object import JsonObject
from peer.config import CATALOGUE_DB
from scripts import phantom
from scripts.loaded import LoadedStudy
from scripts.many_studies import fill_index, fill_orthanc, searches
from scripts.member import PeerProcess
from scripts.network import LineRates, Network, network, set_toml
from scripts.pacs import open_orthanc
from scripts.program import ScriptError, cpu_seconds, free_port
from scripts.steps import make_study, timed_fetch
from tests.components import orthanc

HELP: Final = "DICOMweb against Orthanc: a study, its frames, metadata, searches: no slower"

SLICES: Final = 200
STUDIES: Final = 100_000
REPEATS: Final = 5
FRAMES: Final = 25
"""First frames, each of another instance."""

FIRST_FRAME: Final = 0.05
"""Seconds to the first frame of a study that is here."""

HOST: Final = "127.1.0.8"
EARLY_HOST: Final = "127.1.0.9"
ROOT: Final = "/dicom-web"
SECONDS: Final = 300.0
SETTLED: Final = 120.0
"""Seconds at most in which a peer ends what it has to do: its start, decoding what came."""
MEGABYTE: Final = 1e6
GIGABYTE: Final = 1e9
_READ: Final = 1 << 20

INSTANCES: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PIXELS: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
JSON: Final = "application/dicom+json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    add = parser.add_argument
    add("--slices", type=int, default=SLICES, help="of 0.5 MB each")
    add("--studies", type=int, default=STUDIES, help="to search in; 0: no searches")
    add("--archive", type=Path, help="where Orthanc keeps those, for the next run: they take long")


@frozen
class Answer:
    """One answer."""

    seconds: float
    """From the request to the last byte."""
    size: int
    """Bytes of its body."""
    first: float
    """Seconds to the first bytes of the body."""


class WebClient:
    """Asks one server, on one connection; synchronous."""

    def __init__(self, host: str, port: int, root: str = ROOT) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
        self._root = root
        self._buffer = memoryview(bytearray(_READ))

    def get(self, path: str, accept: str) -> Answer:
        """Ask for something and read the answer, which is thrown away.

        Raises:
            ScriptError: it is not 200.
        """
        begin, first, size = time.perf_counter(), 0.0, 0
        response = self._ask(path, accept)
        while count := response.readinto(self._buffer):
            first = first or time.perf_counter() - begin
            size += count
        return Answer(time.perf_counter() - begin, size, first)

    def read(self, path: str, accept: str = JSON) -> bytes:
        """The body of an answer.

        Raises:
            ScriptError: it is not 200.
        """
        return self._ask(path, accept).read()

    def _ask(self, path: str, accept: str) -> http.client.HTTPResponse:
        for last in (False, True):
            try:
                self._connection.request("GET", self._root + path, headers={"Accept": accept})
                response = self._connection.getresponse()
            except http.client.RemoteDisconnected:  # Orthanc waits a second for the next request
                if last:
                    raise
                self._connection.close()
                continue
            if response.status == http.client.OK:
                return response
            raise ScriptError(f"GET {path}: HTTP status {response.status}")
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def connected(host: str, port: int) -> Iterator[WebClient]:
    """A client, closed at the end."""
    client = WebClient(host, port)
    try:
        yield client
    finally:
        client.close()


async def run(folder: Path, given: argparse.Namespace, *, settled: float = SETTLED) -> JsonObject:
    """The figures; ``passed`` if nothing is slower than Orthanc's.

    Args:
        folder: for all that is written.
        given: of the command line.
        settled: seconds at most that the peer is left to end what it has to do.
    """
    study = await make_study(folder, phantom.slices(given.slices))
    async with (
        open_orthanc(folder, study) as archive,
        network(folder, LineRates(None, None), archive.dicomweb) as net,
    ):
        early, port = await _web_hospital(net, "early", EARLY_HOST, study)
        both = _Both(port, archive.http_port, study, EARLY_HOST)
        figures = await trio.to_thread.run_sync(both.read_on_arrival)
        await early.stop()
        peer, port = await _web_hospital(net, "hospital", HOST, study)
        both = _Both(port, archive.http_port, study)
        await _settled(peer, settled)
        cpu = (_cpu_of(peer), partial(cpu_seconds, archive.process.pid))
        figures |= await trio.to_thread.run_sync(both.read, cpu)
        await peer.stop()
        await peer.start()  # nothing of it is in memory
        await _settled(peer, settled)
        figures |= await trio.to_thread.run_sync(both.read_after_start)
        if given.studies:
            await peer.stop()
            await trio.to_thread.run_sync(_fill, peer.folder / CATALOGUE_DB, given.studies)
            await peer.start()
            await _settled(peer, settled)
            archive_folder = given.archive or folder / "many"
            many = partial(_search_both, archive_folder, given.studies, port)
            figures["searches"] = await trio.to_thread.run_sync(many)
    figures["passed"] = _is_passed(figures)
    return figures


async def _web_hospital(
    net: Network, name: str, host: str, study: LoadedStudy
) -> tuple[PeerProcess, int]:
    """A hospital that has just fetched the study, and the port of its DICOMweb services."""
    peer, port = await net.add(name, "hospital", host), free_port(host)
    set_toml(peer.folder / "peer.toml", {"gateway.dicomweb": f"{host}:{port}"})
    await peer.start()
    await timed_fetch(peer, study)
    return peer, port


def _is_passed(figures: JsonObject) -> bool:
    once = [figures["study_first_read"], figures["study"], figures["metadata"]]
    compared = [*once, *figures.get("searches", {}).values()]
    return (
        all(one["ratio"] >= 1 for one in compared)
        and figures["frame"]["p2pacs"]["median"] <= FIRST_FRAME
    )


# ---------------------------------------------------------------- reading


async def _settled(peer: PeerProcess, seconds: float) -> None:
    if peer.program is not None:
        await peer.program.idle(seconds)


def _cpu_of(peer: PeerProcess) -> Callable[[], float]:
    return peer.program.cpu_seconds if peer.program is not None else float


@frozen
class _Both:
    """A peer and an Orthanc that have the same study, which are asked by turns."""

    ours: int
    """Port of the peer."""
    theirs: int
    """Port of Orthanc."""
    study: LoadedStudy
    host: str = HOST
    """Of the peer."""

    @contextmanager
    def _asked(self) -> Iterator[tuple[WebClient, WebClient]]:
        with connected(self.host, self.ours) as ours, connected("127.0.0.1", self.theirs) as theirs:
            yield ours, theirs

    @property
    def _path(self) -> str:
        return f"/studies/{self.study.uid}"

    def _frames(self, theirs: WebClient) -> list[str]:
        """The path of the first frame of each instance."""
        found = json.loads(theirs.read(f"{self._path}/instances"))
        return [
            f"{self._path}/series/{one['0020000E']['Value'][0]}"
            f"/instances/{one['00080018']['Value'][0]}/frames/1"
            for one in found
        ]

    def read_on_arrival(self) -> JsonObject:
        """A study of which the last byte came just now: nothing of it is decoded."""
        with self._asked() as (ours, theirs):
            whole = _alternating(ours, theirs, [(self._path, INSTANCES)])
            self._check(*whole)
        return {"study_read_on_arrival": _speeds(self.study.size, whole)}

    def read(self, cpu: tuple[Callable[[], float], Callable[[], float]]) -> JsonObject:
        """A study that has come, read for the first time and again; first frames and metadata.

        Args:
            cpu: seconds of processor that each of both took so far.
        """
        with self._asked() as (ours, theirs):
            asked = self._path, INSTANCES
            first = _alternating(ours, theirs, [asked])
            later = list[tuple[Answer, Answer]]()
            taken = [0.0, 0.0]
            for _ in range(REPEATS):
                answers = list[Answer]()
                for number, client in enumerate((ours, theirs)):
                    before = cpu[number]()
                    answers.append(client.get(*asked))
                    taken[number] += cpu[number]() - before
                later.append((answers[0], answers[1]))
            whole = [one for one, _ in later], [other for _, other in later]
            self._check(*first, *whole)
            frames = self._frames(theirs)
            series = frames[0].partition("/instances/")[0]
            told = _alternating(ours, theirs, [(f"{series}/metadata", JSON)] * REPEATS)
            step = max(1, len(frames) // FRAMES)
            shown = _alternating(ours, theirs, [(path, PIXELS) for path in frames[::step]])
        gigabytes = REPEATS * self.study.size / GIGABYTE
        return {
            "bytes": self.study.size,
            "instances": len(self.study.paths),
            "study_first_read": {
                **_compared(first),
                **_speeds(self.study.size, first),
                "first_byte": _first_bytes(first),
            },
            "study": {
                **_compared(whole),
                **_speeds(self.study.size, whole),
                "cpu_seconds_per_gb": {
                    name: round(seconds / gigabytes, 2)
                    for name, seconds in zip(("p2pacs", "orthanc"), taken, strict=True)
                },
            },
            "metadata": _compared(told),
            "frame": _compared(shown),
        }

    def read_after_start(self) -> JsonObject:
        """The same study of a peer that was started anew: nothing of it is in memory."""
        with self._asked() as (ours, theirs):
            shown = _alternating(ours, theirs, [(self._frames(theirs)[0], PIXELS)])
            whole = _alternating(ours, theirs, [(self._path, INSTANCES)])
            self._check(*whole)
        (mine,), (other,) = shown
        return {
            "first_frame_after_start": {"p2pacs": _ms(mine.seconds), "orthanc": _ms(other.seconds)},
            "study_read_after_start": _speeds(self.study.size, whole),
        }

    def _check(self, *answered: Sequence[Answer]) -> None:
        small = min(one.size for answers in answered for one in answers)
        if small < self.study.size:
            raise ScriptError(f"{small} bytes of {self.study.size} came")


def _alternating(
    ours: WebClient, theirs: WebClient, requests: Sequence[tuple[str, str]]
) -> tuple[list[Answer], list[Answer]]:
    pairs = [(ours.get(*one), theirs.get(*one)) for one in requests]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _compared(answers: tuple[list[Answer], list[Answer]]) -> JsonObject:
    """Times of both in milliseconds, and how many times faster ours are: at p95 and in the middle,
    whichever is less."""
    ours, theirs = (sorted(one.seconds for one in each) for each in answers)
    ratio = min(theirs[_p95(theirs)] / ours[_p95(ours)], _median(theirs) / _median(ours))
    return {"ratio": round(ratio, 2), "p2pacs": _times(ours), "orthanc": _times(theirs)}


def _times(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(_median(seconds), 5),
        "p95": round(seconds[_p95(seconds)], 5),
        "least": round(seconds[0], 5),
    }


def _first_bytes(answers: tuple[list[Answer], list[Answer]]) -> JsonObject:
    """Seconds to the first byte: of a study that was not asked for lately, the broker compares it
    with the PACS before."""
    ours, theirs = (_ms(_median([one.first for one in each])) for each in answers)
    return {"p2pacs": ours, "orthanc": theirs}


def _speeds(size: int, answers: tuple[list[Answer], list[Answer]]) -> JsonObject:
    """Millions of bytes a second."""
    both = (size / _median([one.seconds for one in each]) / MEGABYTE for each in answers)
    ours, theirs = (round(one, 1) for one in both)
    return {"mb_s": {"p2pacs": ours, "orthanc": theirs}}


def _p95(ordered: Sequence[float]) -> int:
    return min(len(ordered) - 1, round(0.95 * len(ordered)))


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _ms(seconds: float) -> float:
    return round(seconds, 5)


# ---------------------------------------------------------------- searching


def _fill(path: Path, studies: int) -> None:
    index = CatalogueIndex(path)
    try:
        fill_index(index, studies)
    finally:
        index.close()


def _search_both(folder: Path, studies: int, port: int) -> JsonObject:
    with orthanc(folder, RemoteAccessAllowed=False, SyncStorageArea=False) as archive:
        if archive.get("/statistics")["CountStudies"] != studies:
            fill_orthanc(archive, studies)
        with connected(HOST, port) as ours, connected("127.0.0.1", archive.http_port) as theirs:
            return {
                name: _compared(_alternating(ours, theirs, [(path, JSON) for path in paths]))
                for name, paths in searches(studies).items()
            }
