import pytest

from p2pacs.swarm.priority import Priority
from peer.asker import Asker


@pytest.mark.parametrize(
    ("asker", "audited"),
    [
        (Asker("command", "command"), "command"),
        (Asker("VIEWER", "move", detail="C-MOVE to WS2"), "C-MOVE to WS2"),
        (Asker("VIEWER", "move", Priority.STAT, detail="C-MOVE to WS2"), "C-MOVE to WS2, stat"),
        (Asker("command", "command", Priority.BACKGROUND), "command, background"),
    ],
)
def test_the_audit_tells_what_is_out_of_the_ordinary(asker: Asker, audited: str) -> None:
    assert asker.audited == audited
