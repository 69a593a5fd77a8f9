"""Chromium driven tab by tab, over its own protocol (CDP): it does what it does for people.

Playwright attaches itself to pages, and for such Chromium loads nothing ahead ("prerendering is
disabled by DevTools"). Who attaches to the tab around a page sees what its person sees.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from scripts.chromium import find_chromium
from scripts.program import ScriptError

SECONDS: Final = 60.0
"""For an answer, and for what is waited for in a page."""

_LOOK_AGAIN: Final = 0.025
_CHUNK: Final = 1 << 20
_HIGH: Final = 10
"""Descriptors of the browser's pipe are moved to these and above, then to 3 and 4."""

_ATTACH: Final = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
_TABS_ALONE: Final = [{"type": "tab"}, {"exclude": True}]


@define
class TabBrowser:
    """A browser that runs. Get one by `open_tabs`; for one thread."""

    _reads: int
    _writes: int
    _number: int = 0
    _rest: bytes = b""
    _answers: dict[int, Any] = field(factory=dict)
    _pages: dict[str, str] = field(factory=dict)
    """Session of a page → session of its tab."""
    _ahead: set[str] = field(factory=set)
    """Pages that nobody sees (yet)."""

    def tabs(self) -> list[Tab]:
        """All that are open."""
        return [Tab(self, tab) for tab in dict.fromkeys(self._pages.values())]

    def send(self, method: str, session: str | None = None, /, **given: object) -> Any:
        """What the browser answers to a command.

        Raises:
            ScriptError: it refuses, or does not answer.
        """
        number = self._post(method, session, given)
        deadline = time.monotonic() + SECONDS
        while number not in self._answers:
            if time.monotonic() > deadline:
                raise ScriptError(f"Chromium does not answer {method}")
            self.listen(_LOOK_AGAIN)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise ScriptError(f"Chromium refuses {method}: {answer['error']['message']}")
        return answer["result"]

    def _post(self, method: str, session: str | None, given: dict[str, Any]) -> int:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": given}
        if session is not None:
            message["sessionId"] = session
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self._writes, left) :]
        return self._number

    def listen(self, seconds: float) -> None:
        """Take what the browser says, for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._reads], [], [], left)[0]:
                got = os.read(self._reads, _CHUNK)
                if not got:
                    raise ScriptError("Chromium ended")
                *messages, self._rest = (self._rest + got).split(b"\0")
                for message in messages:
                    self._take(json.loads(message))
                return

    def pause(self, seconds: float) -> None:
        """Let so much time pass: it is listened meanwhile, as the browser waits for nobody."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.listen(left)

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        about = message.get("params", {})
        if message["method"] == "Target.attachedToTarget":
            target, session = about["targetInfo"], about["sessionId"]
            if target["type"] == "tab":
                self._post("Target.setAutoAttach", session, _ATTACH)
            elif target["type"] == "page":
                self._pages[session] = message["sessionId"]
                if target.get("subtype") == "prerender":
                    self._ahead.add(session)
        elif message["method"] == "Target.detachedFromTarget":
            self._pages.pop(about["sessionId"], None)
            self._ahead.discard(about["sessionId"])

    def page_of(self, tab: str) -> str:
        """The page that a tab shows.

        Raises:
            ScriptError: there is none at this moment.
        """
        pages = [page for page, of in self._pages.items() if of == tab]
        shown = [page for page in pages if page not in self._ahead] or pages
        if not shown:
            raise ScriptError("the tab has no page")
        return shown[-1]


@frozen
class Tab:
    """A tab."""

    browser: TabBrowser
    session: str

    def _send(self, method: str, **given: object) -> Any:
        return self.browser.send(method, self.browser.page_of(self.session), **given)

    def goto(self, url: str) -> None:
        """Go there, and wait until the page has loaded."""
        self.leave(partial(self._send, "Page.navigate", url=url))

    def leave(self, do: Any) -> None:
        """Do something that leads to another page, and wait until that has loaded."""
        self.evaluate("window.beforeLeaving = true")
        do()
        self.wait("!window.beforeLeaving && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page.

        Raises:
            ScriptError: it fails, or there is no page.
        """
        answer = self._send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise ScriptError(f"in the page: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, script: str) -> Any:
        """The value of an expression, once it is true; between two pages it is not.

        Raises:
            ScriptError: it does not become true.
        """
        deadline, said = time.monotonic() + SECONDS, "it is never true"
        while time.monotonic() < deadline:
            try:
                if value := self.evaluate(script):
                    return value
            except ScriptError as error:
                said = str(error)
            self.browser.listen(_LOOK_AGAIN)
        raise ScriptError(f"waited for {script!r}: {said}")

    def click(self, selector: str) -> None:
        """Move the pointer to the middle of an element, and click."""
        found = json.dumps(selector)
        place = self.wait(
            f"(() => {{ const found = document.querySelector({found});"
            " found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
            " return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"
        )
        mouse = partial(self._send, "Input.dispatchMouseEvent", **place)
        mouse(type="mouseMoved")
        for event in ("mousePressed", "mouseReleased"):
            mouse(type=event, button="left", clickCount=1)

    def opens(self, selector: str) -> Tab:
        """Click on what opens another tab: that one.

        Raises:
            ScriptError: none comes.
        """
        before = self._seen()
        self.click(selector)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for tab in self._seen():
                if tab not in before:
                    return tab
            self.browser.listen(_LOOK_AGAIN)
        raise ScriptError(f"no tab opens: {selector}")

    def _seen(self) -> list[Tab]:
        """Tabs that somebody sees: what is loaded ahead for another tab is in one, too."""
        return [tab for tab in self.browser.tabs() if tab.is_seen()]

    def is_seen(self) -> bool:
        """Whether its page is there, and was not loaded ahead alone."""
        try:
            return bool(self.evaluate("!document.prerendering && location.href !== 'about:blank'"))
        except ScriptError:
            return False

    def picture(self, path: Path) -> None:
        """Write what it shows into a file (PNG)."""
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """Close it."""
        self._send("Page.close")


@contextmanager
def open_tabs(profile: Path, width: int = 1280, height: int = 800) -> Iterator[Tab]:
    """A headless browser with somebody's profile, for as long as the block takes: its first tab.

    Args:
        profile: its folder; made if it is missing.
        width: of its window, in pixels.
        height: likewise.

    Raises:
        ScriptError: there is no browser.
    """
    program = find_chromium()
    if program is None:
        raise ScriptError("Chromium is not installed (Debian: chromium)")
    theirs, ours = zip(os.pipe(), reversed(os.pipe()), strict=True)
    reads, writes = (fcntl.fcntl(one, fcntl.F_DUPFD, _HIGH) for one in theirs)
    for one in theirs:
        os.close(one)
    command = [str(program), "--headless", "--no-sandbox", "--no-first-run"]
    command += ["--disable-background-networking", "--remote-debugging-pipe"]
    command += [f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
    with subprocess.Popen(
        ["/bin/bash", "-c", f'exec "$0" "$@" 3<&{reads} 4>&{writes}', *command],
        pass_fds=(reads, writes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        for one in (reads, writes):
            os.close(one)
        browser = TabBrowser(ours[1], ours[0])
        try:
            browser.send("Target.setAutoAttach", **_ATTACH, filter=_TABS_ALONE)
            deadline = time.monotonic() + SECONDS
            while not browser.tabs() and time.monotonic() < deadline:
                browser.listen(_LOOK_AGAIN)
            yield browser.tabs()[0]
            browser.send("Browser.close")
        finally:
            _end(process)
            for one in ours:
                os.close(one)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(SECONDS / 6)
    except subprocess.TimeoutExpired:
        process.kill()
