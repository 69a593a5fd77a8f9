"""The compose file, read as its tool reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.deploy.conftest import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
VARIABLE = re.compile(r"\$\{([A-Z_]+)\}")


def example() -> dict[str, str]:
    """What .env.example says."""
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    said = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in said}


def compose(values: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables filled in; each must be known."""
    text = VARIABLE.sub(lambda found: values[found[1]], COMPOSE.read_text())
    read: dict[str, Any] = yaml.safe_load(text)
    return read
