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
from scripts.network import LineRates, network, set_toml
from scripts.pacs import open_orthanc
from scripts.program import ScriptError, free_port
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
ROOT: Final = "/dicom-web"
SECONDS: Final = 300.0
SETTLED: Final = 5.0
"""Seconds after its start in which a peer is still busy with that."""
WRITTEN: Final = 1.0
"""Seconds in which what was decoded for the first reader is written for the next ones."""
MEGABYTE: Final = 1e6
_READ: Final = 1 << 20
_TICK: Final = 0.01
"""Seconds: processor time is told in no smaller steps."""

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
        settled: seconds after its start in which the peer is not asked.
    """
    figures: JsonObject = {}
    study = await make_study(folder, phantom.slices(given.slices))
    async with (
        open_orthanc(folder, study) as archive,
        network(folder, LineRates(None, None), archive.dicomweb) as net,
    ):
        peer = await net.add("hospital", "hospital", HOST)
        port = free_port(HOST)
        set_toml(peer.folder / "peer.toml", {"gateway.dicomweb": f"{HOST}:{port}"})
        await peer.start()
        await timed_fetch(peer, study)
        await peer.stop()
        await peer.start()  # nothing of it is in memory
        await trio.sleep(settled)
        with connected(HOST, port) as ours, connected("127.0.0.1", archive.http_port) as theirs:
            cpu = peer.program.cpu_seconds if peer.program is not None else float
            compare = partial(_read_both, ours, theirs, study, cpu)
            figures.update(await trio.to_thread.run_sync(compare))
        if given.studies:
            await peer.stop()
            await trio.to_thread.run_sync(_fill, peer.folder / CATALOGUE_DB, given.studies)
            await peer.start()
            archive_folder = given.archive or folder / "many"
            many = partial(_search_both, archive_folder, given.studies, port)
            figures["searches"] = await trio.to_thread.run_sync(many)
    figures["passed"] = _is_passed(figures)
    return figures


def _is_passed(figures: JsonObject) -> bool:
    compared = [figures["study"], figures["metadata"], *figures.get("searches", {}).values()]
    return (
        all(one["ratio"] >= 1 for one in compared)
        and figures["frame"]["p2pacs"]["median"] <= FIRST_FRAME
    )


# ---------------------------------------------------------------- reading


def _read_both(
    ours: WebClient, theirs: WebClient, study: LoadedStudy, cpu: Callable[[], float]
) -> JsonObject:
    """A study, first frames and metadata from both."""
    of_study = f"/studies/{study.uid}"
    found = json.loads(theirs.read(f"{of_study}/instances"))
    series = found[0]["0020000E"]["Value"][0]
    of_series = f"{of_study}/series/{series}"
    frames = [f"{of_series}/instances/{one['00080018']['Value'][0]}/frames/1" for one in found]
    cold = ours.get(frames[0], PIXELS).seconds
    cold_theirs = theirs.get(frames[0], PIXELS).seconds
    first = _alternating(ours, theirs, [(of_study, INSTANCES)])
    time.sleep(WRITTEN)
    before = cpu()
    whole = _alternating(ours, theirs, [(of_study, INSTANCES)] * REPEATS)
    of_a_core = REPEATS * study.size / max(cpu() - before, _TICK) / MEGABYTE
    small = min(one.size for answers in (*first, *whole) for one in answers)
    if small < study.size:
        raise ScriptError(f"{small} bytes of {study.size} came")
    told = _alternating(ours, theirs, [(f"{of_series}/metadata", JSON)] * REPEATS)
    step = max(1, len(frames) // FRAMES)
    shown = _alternating(ours, theirs, [(path, PIXELS) for path in frames[::step]])
    return {
        "bytes": study.size,
        "instances": len(study.paths),
        "study_first_read": _speeds(study.size, first),
        "study": {
            **_compared(whole),
            **_speeds(study.size, whole),
            "mb_s_of_a_core": round(of_a_core, 1),
        },
        "metadata": _compared(told),
        "frame": _compared(shown),
        "first_frame_after_start": {"p2pacs": _ms(cold), "orthanc": _ms(cold_theirs)},
    }


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
