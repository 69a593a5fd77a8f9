"""The manual: docs/operations.md and its parts."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def manual() -> str:
    """All of it, the parts in the order in which the first page lists them."""
    first = (ROOT / "docs/operations.md").read_text()
    parts = sorted((ROOT / "docs/operations").glob("*.md"), key=lambda one: first.index(one.name))
    return "\n".join([first, *(one.read_text() for one in parts)])
