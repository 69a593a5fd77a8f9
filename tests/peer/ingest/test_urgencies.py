from p2pacs.swarm.scheduling.priority import Priority
from peer.ingest.urgencies import Urgencies


def test_one_a_study_while_somebody_works_at_it() -> None:
    urgencies, told = Urgencies(), list[int]()
    one = urgencies.of("1.2")
    assert urgencies.of("1.2") is one
    assert one.level == Priority.INTERACTIVE
    urgencies.changed = lambda: told.append(one.level)
    urgencies.put("1.2", Priority.INTERACTIVE)
    urgencies.put("1.3", Priority.STAT)  # nobody works at that one
    assert not told
    urgencies.put("1.2", Priority.STAT)
    assert told == [Priority.STAT]
