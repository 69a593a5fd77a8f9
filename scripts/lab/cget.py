"""The opponent of a download: a real Orthanc behind one line, and DCMTK's getscu (C-GET)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from scripts.lab.lab import LabPlace
from scripts.loaded import LoadedStudy
from scripts.program import Command, ScriptError, output_of
from tests.components import Orthanc, has_orthanc, orthanc

LONGEST: Final = 2.0
"""A retrieval may take so many times what its bytes take on the line."""

LONGEST_MORE: Final = 60.0
"""And so many seconds more."""


@frozen
class OrthancInLab:
    """An Orthanc at a place of the lab, with the study in it."""

    server: Orthanc
    place: LabPlace

    @property
    def dicomweb(self) -> str:
        """Its address on the LAN, as `p2pacs broker init --pacs` takes it."""
        lan = self.place.hosts[0]
        return f"dicomweb+http://{lan}:{self.server.http_port}/dicom-web"


@contextmanager
def orthanc_in_lab(
    place: LabPlace, folder: Path, study: LoadedStudy | None
) -> Iterator[OrthancInLab]:
    """A real Orthanc with this study (None: empty) at a place that has a LAN and a line.

    Raises:
        ScriptError: Orthanc or DCMTK is not installed.
    """
    if not has_orthanc() or shutil.which("getscu") is None:
        raise ScriptError(
            "Orthanc and DCMTK are needed. Debian: apt-get install orthanc-dicomweb dcmtk"
        )
    with ExitStack() as stack:
        # In one go, in the main thread: nothing else runs yet that could miss the event loop.
        with place.space.inside():
            server = stack.enter_context(orthanc(folder / "orthanc"))
            if study is not None:
                server.load(study.paths)
        yield OrthancInLab(server, place)


async def c_get(
    source: OrthancInLab, client: LabPlace, study: LoadedStudy, folder: Path
) -> tuple[float, float]:
    """Has getscu at ``client`` retrieve the study over the line; Unix times of start and end.

    Raises:
        ScriptError: it failed, took much longer than the line does, or files are missing.
    """
    line = source.place.wish.line
    if line is None:
        raise ScriptError(f"{source.place.name} has no line")
    out = folder / "got"
    out.mkdir()
    command: Command = [*client.prefix, "getscu", "-S", "+B", "-od", out]
    command += ["-aec", source.server.aet, "-k", "QueryRetrieveLevel=STUDY"]
    command += ["-k", f"StudyInstanceUID={study.uid}"]
    command += [source.place.address, str(source.server.dicom_port)]
    longest = LONGEST * study.size * 8 / line.uplink + LONGEST_MORE
    begin = time.time()
    await output_of("getscu", command, folder / "getscu.log", seconds=longest)
    end = time.time()
    count = sum(1 for _ in out.iterdir())
    if count != len(study.paths):
        raise ScriptError(f"getscu got {count} of {len(study.paths)} instances")
    return begin, end
