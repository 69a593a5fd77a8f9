"""How fast a PACS is published: for scripts/bench, which gives it a running PACS.

python -m scripts.publish_rate ADDRESS [CODING]
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import trio
from attrs import asdict, frozen

from broker.pacs.adapter import DateSpan
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from broker.publish.publisher import Publisher
from broker.study_keys import Study
from p2pacs.dataset.json_model import text
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.ids import StudyId
from p2pacs.process import heap, logs
from p2pacs.publish.coder import coder
from p2pacs.store import open_store
from p2pacs.study.images import Coding
from p2pacs.workers.coding import open_workers


@frozen
class PublishFigures:
    """One run."""

    studies: int
    instances: int
    bytes: int
    """Of data sets, as the PACS sent them."""
    stored: int
    """Bytes of chunks."""
    seconds: float
    """From the first request to the last confirmed byte."""
    cpu_seconds: float
    """Of this process meanwhile."""
    worker_cpu_seconds: float
    """Of the worker processes, their start included."""
    peak_bytes: int
    """Memory of this process at most, since it started, and of each worker at most: shared pages
    count for each."""

    @property
    def mb_per_second(self) -> float:
        """Data sets, in millions of bytes a second."""
        return self.bytes / self.seconds / 1e6


class _Keys:
    """Keys that are forgotten afterwards (`p2pacs.publish.source.StudyKeySource`)."""

    def __init__(self) -> None:
        self._keys: dict[StudyId, StudyKey] = {}

    def id_of(self, study_instance_uid: str) -> StudyId:
        return StudyId.derive(b"measure", study_instance_uid)

    async def ensure(self, study_instance_uid: str) -> StudyKey:
        return self._keys.setdefault(self.id_of(study_instance_uid), StudyKey.generate())

    async def find(self, study: StudyId) -> Study | None:
        return None

    async def unfinished(self) -> list[str]:
        return []

    async def published(self, study: StudyId, version: int, *, complete: bool) -> None:
        return


async def _unheard(_study: StudyId) -> None:
    return


async def measure(
    address: str, folder: Path, *, aet: str = "P2PACS", coding: Coding = Coding.SMALLEST
) -> PublishFigures:
    """Publish all studies of a running PACS into a new store, as a broker would.

    Args:
        address: as ``p2pacs broker init --pacs`` takes it.
        folder: an empty one, for the store.
        aet: our AE title.
        coding: of images.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    async with (
        open_store(folder) as store,
        open_pacs(parse_pacs(address), aet=aet, dicom=None) as pacs,
        open_workers() as workers,
        trio.open_nursery() as nursery,
    ):
        publisher = Publisher(
            pacs,
            store,
            _Keys(),
            SigningKey.generate(),
            coder(workers, coding),
            updated=_unheard,
        )
        await nursery.start(publisher.run)
        uids = [text(study, "StudyInstanceUID") async for study in pacs.studies(DateSpan())]
        start, cpu = trio.current_time(), time.process_time()
        staged = [publisher.stage(uid) for uid in uids]
        publications = [progress for progress in staged if progress is not None]
        for progress in publications:
            await progress.wait()
        seconds, cpu = trio.current_time() - start, time.process_time() - cpu
        peak = sum(map(_peak_bytes, (os.getpid(), *workers.processes)))
        nursery.cancel_scope.cancel()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return PublishFigures(
        studies=len(uids),
        instances=sum(progress.instances_done for progress in publications),
        bytes=sum(progress.bytes_read for progress in publications),
        stored=store.used,
        seconds=seconds,
        cpu_seconds=cpu,
        worker_cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        peak_bytes=peak,
    )


def _peak_bytes(pid: int) -> int:
    """Memory of a process at most, since it started (proc(5): VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(address: str, coding: str = Coding.SMALLEST) -> None:
    """Print what was measured as one JSON object."""
    heap.bound()
    logs.configure("warning", json=False)
    with tempfile.TemporaryDirectory() as folder:
        done = trio.run(lambda: measure(address, Path(folder), coding=Coding(coding)))
    rate = round(done.mb_per_second, 1)
    sys.stdout.write(json.dumps({**asdict(done), "mb_per_second": rate}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
