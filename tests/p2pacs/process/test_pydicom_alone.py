import subprocess
import sys

import pytest

ALONE = "from p2pacs.process.pydicom_alone import load_pydicom; load_pydicom()"
HEAVY = "heavy = {'numpy', 'requests'}\nsys.exit(', '.join(heavy & set(sys.modules)) or None)"
"""A program ends with those it has loaded."""


def run(source: str) -> None:
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)


@pytest.mark.parametrize(
    "loads",
    [
        "from p2pacs.front import build; build('peer'); import peer.app",
        "from p2pacs.front import build; build('find')",
        f"{ALONE}; import broker.app",
        f"{ALONE}; import p2pacs.archive.server",
    ],
)
def test_a_program_has_pydicom_without_numpy(loads: str) -> None:
    run(f"import sys\n{loads}\nimport pydicom.valuerep, pydicom.pixels\n{HEAVY}")


def test_whoever_needs_them_gets_them_afterwards() -> None:
    run(
        f"{ALONE}; load_pydicom()\n"
        "import numpy\nfrom PIL import Image\nassert numpy.zeros(3).sum() == 0\n"
    )
