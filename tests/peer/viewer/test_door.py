"""Tickets and cookies of the viewer's origin, in virtual time."""

import pytest
import trio
from trio.testing import MockClock

from p2pacs.accounts.sessions import Session
from p2pacs.errors import ForbiddenError
from p2pacs.units import Endpoint, HttpsOrigin
from peer.viewer.door import ViewerDoor, ViewerDoorTuning

UID = "1.2.3"


class _Pages:
    """Who is signed in at the pages: token → rights."""

    def __init__(self) -> None:
        self.rights = {"radiologist": {"look"}, "administrator": {"see"}}
        self.asked = 0

    async def __call__(self, token: str) -> Session | None:
        self.asked += 1
        rights = self.rights.get(token)
        return None if rights is None else Session("rita", "csrf", token, frozenset(rights))


async def test_a_ticket_is_good_once(autojump_clock: MockClock) -> None:
    pages = _Pages()
    door = ViewerDoor(pages)
    cookie, study = await door.admit(ticket := door.ticket("radiologist", UID))
    assert study == UID
    found = await door.reader(cookie)
    assert found is not None
    assert found.account == "rita"
    with pytest.raises(ForbiddenError, match="once"):
        await door.admit(ticket)
    for other in ("", "x", "x" * 1000, ticket, "grün"):
        assert await door.reader(other) is None
        with pytest.raises(ForbiddenError):
            await door.admit(other)


async def test_a_ticket_is_good_for_a_minute(autojump_clock: MockClock) -> None:
    door = ViewerDoor(_Pages())
    early, late = door.ticket("radiologist", UID), door.ticket("radiologist", UID)
    await trio.sleep(59)
    await door.admit(early)
    await trio.sleep(2)
    with pytest.raises(ForbiddenError, match="a minute"):
        await door.admit(late)


async def test_who_may_not_look_or_is_signed_out_gets_nothing(autojump_clock: MockClock) -> None:
    door = ViewerDoor(_Pages())
    for token in ("administrator", "nobody"):
        with pytest.raises(ForbiddenError, match="sign in"):
            await door.admit(door.ticket(token, UID))


async def test_it_ends_with_the_session_of_the_pages(autojump_clock: MockClock) -> None:
    pages = _Pages()
    door = ViewerDoor(pages)
    cookie, _ = await door.admit(door.ticket("radiologist", UID))
    asked = pages.asked
    for _ in range(100):
        assert await door.reader(cookie)
    assert pages.asked == asked  # a viewer asks for hundreds of frames
    del pages.rights["radiologist"]
    await trio.sleep(6)
    assert await door.reader(cookie) is None
    pages.rights["radiologist"] = {"look"}
    assert await door.reader(cookie) is None


async def test_what_it_remembers_is_bounded(autojump_clock: MockClock) -> None:
    door = ViewerDoor(_Pages(), ViewerDoorTuning(tickets=3, readers=2))
    tickets = [door.ticket("radiologist", UID) for _ in range(4)]
    with pytest.raises(ForbiddenError):
        await door.admit(tickets[0])
    cookies = [(await door.admit(one))[0] for one in tickets[1:]]
    assert [await door.reader(one) is not None for one in cookies] == [False, True, True]


def test_where_it_is() -> None:
    door = ViewerDoor(_Pages())
    assert door.origin("pacs.example") is None
    door.opened(Endpoint("10.0.0.5", 8043), secure=False)
    assert door.origin("pacs.example") == "http://pacs.example:8043"
    door.opened(Endpoint("10.0.0.5", 8043), secure=True)
    assert door.origin("2001:db8::1") == "https://[2001:db8::1]:8043"


def test_behind_a_proxy_it_is_where_browsers_reach_it() -> None:
    door = ViewerDoor(_Pages(), outside=HttpsOrigin("viewer.example"))
    assert door.secure
    assert door.origin("pages.example") is None, "it is not served yet"
    door.opened(Endpoint("127.0.0.1", 8043), secure=False)
    assert door.origin("pages.example") == "https://viewer.example"
    assert door.secure


async def test_who_is_signed_in_at_the_pages_gets_its_cookie_once(
    autojump_clock: MockClock,
) -> None:
    pages = _Pages()
    pages.rights["another"] = {"look"}
    door = ViewerDoor(pages)
    cookie = await door.cookie("", "radiologist")
    found = await door.reader(cookie)
    assert found is not None
    assert found.account == "rita"
    assert await door.cookie(cookie, "radiologist") == cookie
    for given, token in ((cookie, "another"), ("x" * 43, "radiologist"), ("x" * 1000, "another")):
        made = await door.cookie(given, token)
        assert made not in (given, cookie)
        assert await door.reader(given) is (found if given == cookie else None)
    for token in ("administrator", "nobody"):
        with pytest.raises(ForbiddenError, match="sign in"):
            await door.cookie("", token)
    del pages.rights["radiologist"]
    await trio.sleep(6)
    assert await door.reader(cookie) is None
    with pytest.raises(ForbiddenError):
        await door.cookie(cookie, "radiologist")


def test_pages_of_the_same_host_can_give_its_cookie() -> None:
    door = ViewerDoor(_Pages())
    assert not door.shares_cookies("pacs.example", secure=False), "it is not served yet"
    door.opened(Endpoint("10.0.0.5", 8043), secure=False)
    assert door.shares_cookies("pacs.example", secure=False)
    door.opened(Endpoint("10.0.0.5", 8043), secure=True)
    assert door.shares_cookies("pacs.example", secure=True)
    assert not door.shares_cookies("pacs.example", secure=False), "a Secure one needs HTTPS"


def test_pages_of_another_host_cannot() -> None:
    door = ViewerDoor(_Pages(), outside=HttpsOrigin("viewer.example"))
    door.opened(Endpoint("127.0.0.1", 8043), secure=False)
    assert not door.shares_cookies("pages.example", secure=True)
    assert door.shares_cookies("viewer.example", secure=True), "at another port"
