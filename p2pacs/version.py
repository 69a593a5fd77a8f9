"""The version of this p2pacs: said once, in pyproject.toml."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "unknown"


@cache
def own_version() -> str:
    """As in `p2pacs --version`; `UNKNOWN` where the code was never installed as a package."""
    try:
        return version("p2pacs")
    except PackageNotFoundError:
        return UNKNOWN
