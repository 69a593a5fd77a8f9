from sqlalchemy import Connection, select

from p2pacs.accounts import known_places
from p2pacs.accounts.known_places import FORGOTTEN, MOST
from p2pacs.accounts.tables import known_places as table

COOKIE = "a cookie"


def _browser(account: str, cookie: str = COOKIE) -> bytes:
    place = known_places.browser(account, cookie)
    assert place is not None
    return place


def test_a_place_is_known_for_its_account_alone(connection: Connection) -> None:
    known_places.remember(connection, "anna", _browser("anna"), 0)
    assert known_places.is_known(connection, _browser("anna"), 1)
    for other in (_browser("bob"), _browser("anna", "x"), known_places.network("anna", COOKIE)):
        assert not known_places.is_known(connection, other, 1)
    known_places.forget(connection, "anna")
    assert not known_places.is_known(connection, _browser("anna"), 1)


def test_a_place_out_of_use_is_forgotten(connection: Connection) -> None:
    known_places.remember(connection, "anna", _browser("anna"), 0)
    known_places.remember(connection, "anna", _browser("anna"), 10)
    assert known_places.is_known(connection, _browser("anna"), 9 + FORGOTTEN)
    assert not known_places.is_known(connection, _browser("anna"), 10 + FORGOTTEN)


def test_few_places_are_kept_the_last_ones(connection: Connection) -> None:
    places = [_browser("anna", str(number)) for number in range(MOST + 5)]
    for at, place in enumerate(places):
        known_places.remember(connection, "anna", place, at)
    known_places.remember(connection, "bob", _browser("bob"), 0)
    known = [known_places.is_known(connection, place, MOST) for place in places]
    assert known == [False] * 5 + [True] * MOST
    assert len(connection.execute(select(table)).all()) == MOST + 1


def test_cookies_that_cannot_be_ours() -> None:
    assert known_places.browser("anna", "") is None
    assert known_places.browser("anna", "x" * 129) is None
    assert known_places.browser("anna", known_places.new_cookie()) is not None
