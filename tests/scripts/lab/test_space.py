"""Namespaces: what goes wrong is said; the rest is in `inside.py`."""

import os
from pathlib import Path

import pytest

from scripts.lab import space
from scripts.program import ScriptError


def test_ip_says_what_it_did_not_understand() -> None:
    with pytest.raises(ScriptError, match=r"ip frobnicate: .*frobnicate"):
        space.ip("frobnicate")


def test_a_missing_ip_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScriptError, match="iproute2"):
        space.ip("link")


def test_a_space_is_named_by_a_path_that_others_see() -> None:
    made = space.Space(7)
    assert made.prefix == ["nsenter", f"--net=/proc/{os.getpid()}/fd/7", "--"]
