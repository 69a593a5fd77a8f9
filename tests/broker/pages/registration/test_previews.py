from broker.members.registry import Registration
from broker.pages.registration.previews import MOST, Previews
from p2pacs.identity.directory import Role
from tests.broker.pages.registration.test_shown_tokens import ANNA, BOB

SEEN = [Registration("North", Role.HOSPITAL, None, None, "all")]


def test_a_preview_is_taken_once_and_by_who_saw_it() -> None:
    previews = Previews()
    name = previews.keep(ANNA, SEEN)
    assert previews.take(BOB, name) is None
    assert previews.take(ANNA, "") is None
    assert previews.take(ANNA, name) == SEEN
    assert previews.take(ANNA, name) is None


def test_few_are_kept() -> None:
    previews = Previews()
    names = [previews.keep(ANNA, SEEN) for _ in range(MOST + 1)]
    assert [previews.take(ANNA, name) is None for name in names] == [True] + [False] * MOST
