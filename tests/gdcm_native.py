"""GDCM as a program that writes Explicit VR Little Endian: ``python -m tests.gdcm_native FROM TO``.

In a process of its own, as GDCM ends the process where it meets what it does not expect; and out
of a folder of its own, as pydicom loads it into every program whose environment has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

CHECKERS: Final = Path(sys.prefix) / "checkers"
"""Where scripts/test installs it."""


def missing() -> str | None:
    """Why there is no GDCM here; None if there is one."""
    if PathFinder.find_spec("gdcm", [str(CHECKERS)]):
        return None
    return f"GDCM is not in {CHECKERS} (scripts/test installs it)"


def convert(source: Path, target: Path) -> bool:
    """Write a file in Explicit VR Little Endian; False if GDCM cannot."""
    command = [sys.executable, "-m", "tests.gdcm_native", str(source), str(target)]
    path = os.pathsep.join([*filter(None, sys.path), str(CHECKERS)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, check=False, capture_output=True, env=environment)
    return done.returncode == 0


def main(source: str, target: str) -> int:
    import gdcm  # noqa: PLC0415 - not there but in a process of its own

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    reader = gdcm.ImageReader()
    reader.SetFileName(source)
    if not reader.Read():
        return 1
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    change.SetInput(reader.GetImage())
    if not change.Change():
        return 1
    writer = gdcm.ImageWriter()
    writer.SetFileName(target)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    return 0 if writer.Write() else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
