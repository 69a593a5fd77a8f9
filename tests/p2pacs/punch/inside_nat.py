"""What `test_puncher.py` runs in a world of its own: hospitals behind routers of Linux."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.p2pacs.punch.nat_world import LISTEN, World, said, world

SECONDS = 14.0


def meet(
    made: World, one: str = "here", other: str = "there", seconds: float = SECONDS
) -> tuple[dict[str, object] | None, dict[str, object] | None]:
    """One fetches what the other has; how it was linked, and why it was not."""
    members = made.members(["replica"], [one, other])
    for name in ("broker", "replica"):
        process = made.run(name, members[name], f"{made.address(name)}:{LISTEN}", "-", "60")
        assert said(process, "runs", 20) is not None
    has = made.run(other, members[other], "-", "has", "60")
    assert said(has, "ready", 20) is not None
    wants = made.run(one, members[one], "-", other, str(seconds))
    ready = said(wants, "ready", 20)
    assert ready is not None
    linked = said(wants, "linked", seconds)
    if linked is not None:
        assert said(wants, "complete", seconds) is not None
    return linked, ready


def spaces(made: World) -> None:
    for name in ("broker", "replica"):
        made.spaces[name] = made.on_the_line(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("steady", "steady"),
        ("refusing", "refusing"),
        ("cone", "symmetric"),
        ("symmetric", "cone"),
        ("steady", "refusing"),
        ("none", "symmetric"),
    ],
)
def test_linked(tmp_path: Path, one: str, other: str) -> None:
    with world(tmp_path) as made:
        spaces(made)
        made.behind(one, "here")
        made.behind(other, "there")
        made.start_lines()
        linked, _ = meet(made)
        assert linked is not None
        assert linked["met"]
        assert not linked["lan"]


@pytest.mark.parametrize(("one", "other"), [("symmetric", "symmetric"), ("symmetric", "steady")])
def test_never(tmp_path: Path, one: str, other: str) -> None:
    with world(tmp_path) as made:
        spaces(made)
        made.behind(one, "here")
        made.behind(other, "there")
        made.start_lines()
        assert meet(made, seconds=10.0)[0] is None


def test_behind_one_router_over_the_lan(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        spaces(made)
        made.behind("steady", "here", "there")
        made.start_lines()
        linked, _ = meet(made)
        assert linked is not None
        assert linked["lan"]
        assert str(linked["peer"]).startswith("192.168.7.")
