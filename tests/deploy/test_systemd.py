"""The units: rated and read by systemd's own tools, where they are, and alike."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
HARDENING = re.compile(r"^NoNewPrivileges=.*(?=^\[Install\])", re.DOTALL | re.MULTILINE)

systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here"
)

CODING = """
import ctypes, sys
from pathlib import Path
assert ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE (Linux 6.3)
import argon2, numpy, imagecodecs, zstandard, cryptography.fernet
argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=2).hash("x")
image = numpy.arange(4096, dtype="uint16").reshape(64, 64)
for name in ("jpegxl", "htj2k", "jpeg2k", "jpegls", "ljpeg"):
    encode, decode = (getattr(imagecodecs, f"{name}_{way}") for way in ("encode", "decode"))
    coded = encode(image, lossless=True) if name == "jpegxl" else encode(image)
    assert (decode(coded) == image).all() or name == "jpegls", name
from p2pacs.web.addresses import machine_addresses
print("works", len(machine_addresses()))
"""


def _hardening(unit: Path) -> str:
    found = HARDENING.search(unit.read_text())
    assert found is not None, unit
    return found[0]


def test_all_are_shut_in_alike() -> None:
    assert {unit.name for unit in UNITS} == {
        "p2pacs-broker.service",
        "p2pacs-peer.service",
        "p2pacs-peer@.service",
    }
    assert len({_hardening(unit) for unit in UNITS}) == 1
    # Without it no program that listens at 0.0.0.0 knows the names of its certificate.
    assert "AF_NETLINK" in _hardening(UNITS[0])


@systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_little_is_exposed(unit: Path) -> None:
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert rated.returncode == 0, rated.stdout[-200:] + rated.stderr  # below 1.5


@systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    program = tmp_path / "p2pacs"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/p2pacs/bin/p2pacs", str(program)))
    read = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line for line in read.stderr.splitlines() if "p2pacs" in line]
    assert not said


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_the_codecs_need_no_memory_that_is_written_and_run() -> None:
    """MemoryDenyWriteExecute=, by the kernel's own switch for it."""
    done = subprocess.run(
        [sys.executable, "-c", CODING], capture_output=True, text=True, check=False, timeout=60
    )
    if "prctl" in done.stderr:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert done.stdout.startswith("works"), done.stderr
