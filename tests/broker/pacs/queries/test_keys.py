import pytest
from structlog.testing import capture_logs

from broker.pacs.adapter import INSTANCE_KEYS, LISTED_KEYS, SERIES_KEYS, STUDY_KEYS
from broker.pacs.queries.keys import WIDE, QueryKeys, WideKeys
from p2pacs.dataset.vocabulary import HEADER_TAGS
from p2pacs.errors import PacsRefusedError, PacsUnreachableError


def test_everything_of_the_vocabulary_is_asked_for() -> None:
    asked = {key for keys in WIDE.values() for key in keys}
    assert asked >= HEADER_TAGS
    assert all(set(usual) <= set(wide) for usual, wide in WIDE.items())
    assert WIDE[LISTED_KEYS] == INSTANCE_KEYS


class Strict:
    """A PACS that knows only the usual keys."""

    def __init__(self) -> None:
        self.asked: list[QueryKeys] = []
        self.refuses_all = False

    async def find(self, keys: QueryKeys) -> str:
        self.asked.append(keys)
        if self.refuses_all or len(keys) > len(STUDY_KEYS):
            raise PacsRefusedError("0xA900: it finds the query wrong")
        return "found"


async def test_a_pacs_that_refuses_more_is_asked_for_the_usual_from_then_on() -> None:
    pacs, wide = Strict(), WideKeys("PACS@host")
    with capture_logs() as logs:
        assert await wide.ask(STUDY_KEYS, pacs.find) == "found"
        assert await wide.ask(STUDY_KEYS, pacs.find) == "found"
    assert pacs.asked == [WIDE[STUDY_KEYS], STUDY_KEYS, STUDY_KEYS]
    assert [one["log_level"] for one in logs] == ["warning"]


async def test_what_is_refused_anyway_is_no_reason_to_ask_for_less() -> None:
    pacs, wide = Strict(), WideKeys("PACS@host")
    pacs.refuses_all = True
    with pytest.raises(PacsRefusedError):
        await wide.ask(SERIES_KEYS, pacs.find)
    pacs.asked.clear()
    with pytest.raises(PacsRefusedError):
        await wide.ask(SERIES_KEYS, pacs.find)
    assert pacs.asked == [WIDE[SERIES_KEYS], SERIES_KEYS]


async def test_a_pacs_that_is_away_is_not_asked_twice() -> None:
    asked: list[QueryKeys] = []

    async def away(keys: QueryKeys) -> str:
        asked.append(keys)
        raise PacsUnreachableError("away")

    with pytest.raises(PacsUnreachableError):
        await WideKeys("PACS@host").ask(STUDY_KEYS, away)
    assert len(asked) == 1
