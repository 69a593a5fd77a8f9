import pytest

from p2pacs.errors import UsageError
from p2pacs.limits import OUTGOING_TOGETHER
from p2pacs.swarm.scheduling.priority import Priority
from peer.api.asked import read_list, read_priority, read_texts


def test_what_is_asked_with_is_checked() -> None:
    assert read_list({"a": [1]}, "a") == [1]
    assert read_texts({"a": ["x"]}, "a") == ["x"]
    assert read_priority({}) is Priority.INTERACTIVE
    assert read_priority({"priority": "stat"}) is Priority.STAT
    for body in ({}, {"a": "x"}, {"a": [0] * (OUTGOING_TOGETHER + 1)}):
        with pytest.raises(UsageError, match="must be a list"):
            read_list(body, "a")
    with pytest.raises(UsageError, match="list of texts"):
        read_texts({"a": [1]}, "a")
    for wrong in (1, "at once"):
        with pytest.raises(UsageError):
            read_priority({"priority": wrong})
