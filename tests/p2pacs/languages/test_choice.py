import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.languages import LANGUAGES, current, speak, speaking
from p2pacs.languages.choice import best, chosen


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("es-419,es;q=0.9,en;q=0.8", "es"),
        ("fr-FR,fr;q=0.9,pt-BR;q=0.5,en;q=0.4", "pt"),
        ("en;q=0.2, de ;q=0.5 , es; Q=0.4", "de"),
        ("fr", "en"),
        ("fr, *;q=0.1", "en"),
        ("*", "en"),
        ("en;q=0, *", "es"),
        ("de;q=0", "en"),
        ("es,pt", "es"),
        ("pt,es", "pt"),
        ("de;q=2, es;q=0.1", "es"),
        ("de;q=0.1234, es;q=0.1", "es"),
        ("de;;q=1,\x00,es", "es"),
        ("x," * 40 + "de", "en"),
        ("x" * 2000 + ",de", "en"),
    ],
)
def test_the_language_that_a_browser_likes_best(accepted: str, language: str) -> None:
    assert best(accepted) == language


@given(st.text())
def test_any_header_gives_a_language(accepted: str) -> None:
    assert best(accepted) in LANGUAGES


@given(st.permutations(list(LANGUAGES)))
def test_qualities_decide_and_not_the_order(order: list[str]) -> None:
    qualities = {language: 0.9 - 0.1 * place for place, language in enumerate(LANGUAGES)}
    header = ",".join(f"{language};q={qualities[language]:.1f}" for language in order)
    assert best(header) == "en"


def test_what_was_chosen_in_the_browser_comes_first() -> None:
    assert chosen(cookie="pt", accepted="de") == "pt"
    assert chosen(cookie="tlh", accepted="de") == "de"
    assert chosen(cookie="", accepted="") == "en"


async def test_each_task_has_a_language_of_its_own() -> None:
    heard: dict[str, str] = {}

    async def ask(language: str) -> None:
        speak(language)
        await trio.lowlevel.checkpoint()
        heard[language] = await trio.to_thread.run_sync(current)

    async with trio.open_nursery() as nursery:
        for language in LANGUAGES:
            nursery.start_soon(ask, language)
    assert heard == {language: language for language in LANGUAGES}
    assert current() == "en"


def test_for_a_while() -> None:
    with speaking("de"):
        assert current() == "de"
        with speaking("no such"):
            assert current() == "en"
        assert current() == "de"
    assert current() == "en"
