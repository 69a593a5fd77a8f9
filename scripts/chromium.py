"""Debian's Chromium, driven by Playwright in a thread of its own.

Playwright's synchronous interface belongs to the thread that began it, and trio's worker threads
change: so the browser has one thread, which does what it is given, one thing after the other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import trio
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from scripts.program import ScriptError

SECONDS: Final = 240.0
"""For a page to do what it is waited for, on a slow machine."""

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")

T = TypeVar("T")


def find_chromium() -> Path | None:
    """The browser's program; None if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return None if found is None else Path(found)


class Chromium:
    """A browser that runs. Get one by `open_chromium`."""

    def __init__(self, browser: Browser, thread: ThreadPoolExecutor) -> None:
        self._browser = browser
        self._thread = thread

    def run(self, task: Callable[[BrowserContext], T], /, **options: Any) -> T:
        """What ``task`` returns or raises, done in the browser's thread.

        Args:
            task: is given a context of its own (`own_context`).
            options: of `Browser.new_context`: ``locale``, ``viewport``, ``java_script_enabled`` …
        """
        return self._thread.submit(self._do, task, options).result()

    async def __call__(self, task: Callable[[BrowserContext], T], /, **options: Any) -> T:
        """The same for trio: what this process serves meanwhile goes on."""
        return await trio.to_thread.run_sync(partial(self.run, task, **options))

    def _do(self, task: Callable[[BrowserContext], T], options: dict[str, Any]) -> T:
        with own_context(self._browser, **options) as context:
            return task(context)


def browser_of(context: BrowserContext) -> Browser:
    """The browser of a context that `Chromium` gave."""
    if context.browser is None:
        raise ScriptError("this context has no browser of its own")
    return context.browser


@contextmanager
def own_context(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A browser of somebody's own: no cookies, nothing cached. What it waits for has `SECONDS`.

    Args:
        browser: that runs; of its thread.
        options: of `Browser.new_context`.
    """
    with browser.new_context(**options) as context:
        context.set_default_timeout(SECONDS * 1000)
        yield context


@contextmanager
def open_chromium(
    prefix: Path | None = None, arguments: tuple[str, ...] = ()
) -> Iterator[Chromium]:
    """A headless browser for as long as the block takes.

    Args:
        prefix: a program that starts another, as in a network namespace; None: no such one.
        arguments: further ones of the browser.

    Raises:
        ScriptError: there is none.
    """
    program = prefix or find_chromium()
    if program is None:
        raise ScriptError("Chromium is not installed (Debian: chromium)")
    with ThreadPoolExecutor(1, "chromium") as thread:
        playwright = thread.submit(sync_playwright().start).result()
        expect.set_options(timeout=SECONDS * 1000)  # else five seconds
        try:
            launch = partial(playwright.chromium.launch, executable_path=program, args=arguments)
            browser = thread.submit(launch).result()
            yield Chromium(browser, thread)
            thread.submit(browser.close).result()
        finally:
            thread.submit(playwright.stop).result()
