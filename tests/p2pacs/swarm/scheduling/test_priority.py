import pytest

from p2pacs.swarm.scheduling.priority import Priority


def test_names_are_read_in_any_case() -> None:
    assert [Priority.named(name) for name in ("stat", "Background")] == [
        Priority.STAT,
        Priority.BACKGROUND,
    ]


def test_an_unknown_name_tells_which_there_are() -> None:
    with pytest.raises(ValueError, match="stat, interactive, prefetch, background"):
        Priority.named("urgent")


def test_an_emergency_comes_first() -> None:
    assert max(Priority) is Priority.STAT
