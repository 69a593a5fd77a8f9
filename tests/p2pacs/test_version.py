"""The version is said once."""

import tomllib
from pathlib import Path

from p2pacs.version import own_version

ROOT = Path(__file__).parent.parent.parent


def test_it_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert own_version() == project["version"]
