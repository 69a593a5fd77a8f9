import pytest

from p2pacs.errors import UnavailableError
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.availability import Availability
from peer.pages.live.transfer_words import SOURCES, transfer_words
from tests.peer.fake_peer import STUDY, transfer_of


def made(*, ended: bool = False, error: str = "", **told: object) -> tuple[Transfer, JsonObject]:
    transfer = Transfer(STUDY, Availability((), b""))
    if ended:
        transfer.end(UnavailableError(error) if error else None)
    return transfer, transfer_of(500, 2000, error=error or None, **told)


async def test_one_that_runs() -> None:
    said = transfer_words(*made(), paused=False)
    assert (said["words"], said["percent"], said["amount"]) == (
        "Waiting for it",
        25,
        "500 B of 2.0 kB",
    )
    assert (said["rate"], said["left"]) == ("8.0 kbit/s", "2 s left")
    source = {"name": "replica", "role": "replica", "amount": "500 B", "rate": "8.0 kbit/s"}
    assert said["sources"] == [source]


async def test_one_that_grows_says_so() -> None:
    transfer, told = made(growing=True, expected_seconds=None)
    said = transfer_words(transfer, told, paused=False)
    assert (said["amount"], said["percent"]) == ("500 B so far, the PACS sends more", None)
    assert said["badge"] == "Waiting for it"


@pytest.mark.parametrize(
    ("error", "paused", "words", "why"),
    [
        ("", False, "Here", ""),
        ("nobody has it", False, "Stopped", "nobody has it"),
        ("was paused", True, "Paused", ""),
    ],
)
async def test_one_that_ended(error: str, paused: bool, words: str, why: str) -> None:
    said = transfer_words(*made(ended=True, error=error), paused=paused)
    assert (said["words"], said["why"], said["rate"], said["left"]) == (words, why, "", "")


async def test_many_sources_are_bounded_those_that_gave_most_first() -> None:
    source = {"rate": 0, "in_flight": 0, "role": None, "linked": False}
    sources = {f"m{n:02}": {**source, "bytes": n} for n in range(20)}
    said = transfer_words(*made(sources=sources, further_sources=3), paused=False)
    assert [one["name"] for one in said["sources"]] == [
        f"m{n:02}" for n in range(19, 19 - SOURCES, -1)
    ]
    assert said["further"] == 20 - SOURCES + 3
    assert said["sources"][0]["rate"] == "not linked now"
