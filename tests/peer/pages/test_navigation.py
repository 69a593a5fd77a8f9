import pytest

from peer.accounts.rights import USER_RIGHTS, UserRole
from peer.pages.navigation import NAVIGATION


@pytest.mark.parametrize(
    ("role", "places"),
    [
        (UserRole.RADIOLOGIST, ["/studies", "/transfers", "/sent", "/network"]),
        (UserRole.OPERATOR, ["/studies", "/transfers", "/sent", "/network"]),
        (UserRole.ADMINISTRATOR, ["/transfers", "/sent", "/network", "/settings", "/users"]),
    ],
)
def test_everybody_is_shown_what_is_for_them(role: UserRole, places: list[str]) -> None:
    """The first is where they land."""
    assert [way.path for way in NAVIGATION if way.right in USER_RIGHTS[role]] == places


def test_no_place_stands_there_twice() -> None:
    assert len({way.path for way in NAVIGATION}) == len(NAVIGATION)
