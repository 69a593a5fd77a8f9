"""Somebody who sends pages what no browser sends: a clear answer each time, and no word of it back.

What there is to ask is read off the pages' routes and forms, so that new ones are tried, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote

import httpx
from attrs import define, field, frozen
from starlette.routing import BaseRoute, Mount, Route

SCRIPT: Final = "<script>alert(4711)</script>"
NUL: Final = "\0"

TEXTS: Final = (
    "",
    SCRIPT,
    '"><img src=x onerror=alert(4711)>',
    "{{ 70707 * 90909 }}",
    "' OR 1=1 --",
    "'; DROP TABLE account; --",
    "../../../etc/passwd",
    "9" * 5000,
    "-1",
    "nan",
    "²",  # a digit to Python's isdigit, and no number
    "٣",  # a number, of another script
    "x" * 5000,
    "9" * 30 + "gbit",
    "9" * 400 + "mbit",
    "127.0.0.1:" + "9" * 5000,
    f"a{NUL}b",
    "a\r\nX-Injected: 1",
    "\u202eabc\u2066",
    "\ud7ff\uffff\U0010ffff",
    "PatientName=" + "*[" * 100,
    "Modality=" + ",".join(["CT"] * 3000),
    "0" * 32,
)
"""For every field, query and part of a path."""


NEVER: Final = (SCRIPT, "<img src=x", "6427902663", "root:", "Traceback")
"""In no answer: what was sent, as markup; what a template makes of it; a file; an error's trace.
Long enough to be in no token, time or image by chance."""

QUERIES: Final = ("search", "page", "series", "image", "window", "frame", "level", "saved")
_IN_QUERIES: Final = (SCRIPT, "9" * 5000, "-1", "²", "nan,inf", f"a{NUL}b")


@frozen
class Asked:
    """A form as a page has it."""

    action: str
    method: str
    fields: frozenset[str]


class _Forms(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Asked] = []
        self._open: tuple[str, str, set[str]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = (said.get("action", ""), said.get("method", "get"), set())
        if self._open is not None and "name" in said:
            self._open[2].add(said["name"])
        if self._open is not None and "formaction" in said:
            self.found.append(Asked(said["formaction"], "post", frozenset(self._open[2])))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._open is not None:
            action, method, fields = self._open
            self.found.append(Asked(action, method, frozenset(fields)))
            self._open = None


@define
class Monkey:
    """Asks, and looks at every answer."""

    http: httpx.AsyncClient
    """Signed in."""
    csrf: str = field(repr=False)
    asked: int = 0
    faults: list[str] = field(factory=list)
    """What was wrong with answers."""

    async def walk(
        self,
        routes: Iterable[BaseRoute],
        there: dict[str, str],
        *,
        pages: Collection[str],
        leave: Collection[str] = (),
    ) -> None:
        """Tries all.

        Args:
            routes: of the application.
            there: for parts of paths: what is there.
            pages: addresses of pages whose forms are tried.
            leave: paths that are not sent to: what they do ends the walk, or never ends.
        """
        forms = [one for page in pages for one in await self.forms(page)]
        for route in _flat(routes):
            if route.path in leave:
                continue
            for method in sorted((route.methods or set()) - {"HEAD"}):
                sent = {"csrf": self.csrf} if method == "POST" else {}
                for path in _paths(route.path, there, queries=method == "GET"):
                    await self._send(method, path, sent)
        for form in forms:
            # Passwords are checked one by one, and slower after each wrong one.
            if form.action not in leave and not form.fields & {"current", "password"}:
                await self._try_form(form)

    async def forms(self, page: str) -> list[Asked]:
        """Of a page."""
        answer = await self.http.get(page)
        assert answer.status_code == 200, (page, answer.status_code)
        return _Forms(answer.text).found

    async def _try_form(self, form: Asked) -> None:
        usual = dict.fromkeys(form.fields, "1") | {"csrf": self.csrf}
        for name in sorted(form.fields - {"csrf"}):
            for text in TEXTS:
                await self._send(form.method.upper(), form.action, usual | {name: text})
        if form.method == "post":
            await self._without_right(form, usual)

    async def _without_right(self, form: Asked, usual: dict[str, str]) -> None:
        for csrf in ("", "x", self.csrf[:-1], self.csrf + "x", "é"):
            answer = await self._send("POST", form.action, usual | {"csrf": csrf})
            self._expect(answer, form, 403)
        answer = await self._send("POST", form.action, dict.fromkeys(map(str, range(2000)), "1"))
        self._expect(answer, form, 400, 403)
        files = dict.fromkeys(form.fields, ("x", b"\x00" * 10, "text/plain"))
        self._look(await self.http.post(form.action, files=files), form.action)
        large = await self.http.post(form.action, data={"csrf": "x" * 2_000_000})
        self._expect(large, form, 413)

    def _expect(self, answer: httpx.Response, form: Asked, *statuses: int) -> None:
        if answer.status_code not in statuses:
            self.faults.append(f"{answer.status_code}, and not {statuses}: {form.action}")

    async def _send(self, method: str, path: str, fields: dict[str, str]) -> httpx.Response:
        given = {"data": fields} if method == "POST" else {"params": fields or None}
        answer = await self.http.request(method, path, **given)  # type: ignore[arg-type]
        self._look(answer, f"{method} {path[:200]} {str(fields)[:300]}")
        return answer

    def _look(self, answer: httpx.Response, asked: str) -> None:
        self.asked += 1
        if answer.status_code >= 500 or "x-injected" in answer.headers:
            self.faults.append(f"{answer.status_code}: {asked}")
        self.faults += [f"{one!r} in {asked}" for one in NEVER if one in answer.text]


def _flat(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    for route in routes:
        if isinstance(route, Route):
            yield route
        elif isinstance(route, Mount):
            yield from _flat(route.routes or ())


def _paths(path: str, there: dict[str, str], *, queries: bool) -> Iterator[str]:
    """The path as it is meant, and with each text in the place of each of its parts."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    usual = {name: there.get(name.partition(":")[0], "1") for name in names}

    def filled(chosen: dict[str, str]) -> str:
        made = path
        for name, text in chosen.items():
            made = made.replace("{" + name + "}", quote(text, safe=""))
        return made

    yield filled(usual)
    for name in names:
        for text in TEXTS:
            yield filled(usual | {name: text})
    for query in QUERIES if queries else ():
        for text in _IN_QUERIES:
            yield f"{filled(usual)}?{query}={quote(text, safe='')}"
