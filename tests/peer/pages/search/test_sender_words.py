from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.pages.search.sender_words import ShownSender, unread_words
from peer.retrieval.sent_here import SentHere

NORTH, BROKER, GONE = (VirtualAddress(b"\xfd" + bytes(14) + bytes([one])) for one in range(3))
ONE = SentHere(StudyId(bytes(16)), NORTH, Priority.INTERACTIVE, 1_700_000_000_000)


@pytest.fixture
def directory() -> Any:
    members = {
        NORTH: SimpleNamespace(name="Nörth\x1b[31m", role=Role.HOSPITAL),
        BROKER: SimpleNamespace(name="broker", role=Role.BROKER),
    }
    return SimpleNamespace(get=members.get)


def test_a_hospital_is_named(directory: Any) -> None:
    shown = ShownSender.of(ONE, directory)
    assert shown.words.startswith("Sent by Nörth")
    assert "\x1b" not in shown.words + shown.sentence
    assert shown.sentence.endswith("sent this study to this hospital: 2023-11-14 22:13 UTC.")
    assert shown.is_new
    assert not shown.is_stat


def test_a_broker_speaks_for_an_administrator(directory: Any) -> None:
    shown = ShownSender.of(evolve(ONE, sender=BROKER, is_read=True), directory)
    assert shown.words == "Sent by the network's administrator"
    assert shown.sentence.startswith("The network's administrator sent this study")
    assert not shown.is_new


def test_one_that_the_directory_knows_no_more_is_its_address(directory: Any) -> None:
    assert str(GONE) in ShownSender.of(evolve(ONE, sender=GONE), directory).words


def test_what_nobody_read_is_counted() -> None:
    stat = evolve(ONE, priority=Priority.STAT)
    assert not unread_words([])
    assert unread_words([ONE]) == "1 new study was sent to this hospital"
    assert unread_words([ONE, ONE]) == "2 new studies were sent to this hospital"
    assert unread_words([ONE, stat]) == "2 new studies were sent to this hospital; STAT: 1"
