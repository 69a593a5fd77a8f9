"""Images of DICOM's Working Group 4 (compression), and others that pydicom's tests use, as the
package pydicom-data has them: beside the environment, as GDCM is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.gdcm_native import CHECKERS

IMAGES: Final = CHECKERS / "data_store" / "data"


def missing() -> str | None:
    """Why they are not here; None if they are."""
    if IMAGES.is_dir():
        return None
    return f"pydicom-data is not in {CHECKERS} (scripts/test installs it)"


def files() -> list[Path]:
    """All of them; none where they are not here."""
    return sorted(IMAGES.glob("*.dcm"))
