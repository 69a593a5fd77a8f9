"""The broker's registration form, used as a browser uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser

import httpx
from attrs import frozen

from scripts.program import ScriptError

HTTP_SECONDS = 30.0


@asynccontextmanager
async def administrator(web: str, login: Mapping[str, str]) -> AsyncIterator[Administrator]:
    """Signed in while the block runs.

    Args:
        web: where the form is, without a path.
        login: name and password.

    Raises:
        ScriptError: they are refused.
    """
    async with httpx.AsyncClient(
        base_url=web, timeout=HTTP_SECONDS, follow_redirects=True, trust_env=False
    ) as http:
        await submit(http, "/login", "/login", login)
        yield Administrator(http)


@frozen
class Administrator:
    """Somebody who is signed in. Get one from `administrator`."""

    _http: httpx.AsyncClient

    async def register(self, member: Mapping[str, str]) -> str:
        """Registers a member and reads its one-time token off the page.

        Args:
            member: the fields of the form.

        Raises:
            ScriptError: the form refused something.
        """
        page = await submit(self._http, "/members/new", "/members", member)
        if page.token is None:
            raise ScriptError(f"the registration form showed no token: {page.alert}")
        return page.token


class FormPage(HTMLParser):
    """What a script needs of a page: hidden fields, the token, an alert."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self.token: str | None = None
        self.alert = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "input" and values.get("type") == "hidden":
            self.hidden[values.get("name") or ""] = values.get("value") or ""
        elif tag == "code" and values.get("id") == "token":
            self._inside = "token"
        elif values.get("role") == "alert":
            self._inside = "alert"

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "token":
            self.token = (self.token or "") + data.strip()
        elif self._inside == "alert":
            self.alert += data.strip()


async def submit(
    http: httpx.AsyncClient, form: str, action: str, values: Mapping[str, str]
) -> FormPage:
    """Opens the page with the form and sends it with its hidden fields, as a browser does."""
    shown = await http.get(form)
    shown.raise_for_status()
    sent = await http.post(action, data=FormPage(shown.text).hidden | dict(values))
    page = FormPage(sent.text)
    if sent.is_error:
        raise ScriptError(f"the web form at {action} answered {sent.status_code}: {page.alert}")
    return page
