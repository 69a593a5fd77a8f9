import pytest

from p2pacs.swarm.scheduling.priority import Priority
from peer.retrieval.requester import Requester


@pytest.mark.parametrize(
    ("requester", "audited"),
    [
        (Requester("command", "command"), "command"),
        (Requester("VIEWER", "move", detail="C-MOVE to WS2"), "C-MOVE to WS2"),
        (Requester("VIEWER", "move", Priority.STAT, detail="C-MOVE to WS2"), "C-MOVE to WS2, stat"),
        (Requester("command", "command", Priority.BACKGROUND), "command, background"),
        (Requester.of_person("rita", "looked at"), "looked at on the page"),
        (Requester.of_person("rita", "fetched", Priority.STAT), "fetched on the page, stat"),
    ],
)
def test_the_audit_tells_what_is_out_of_the_ordinary(requester: Requester, audited: str) -> None:
    assert requester.audited == audited
