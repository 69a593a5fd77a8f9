"""Debian's Chromium, driven by Playwright in a thread of its own.

Playwright's synchronous interface belongs to the thread that began it, and trio's worker threads
change: so the browser has one thread, which does what it is given, one thing after the other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import trio
from playwright.sync_api import Browser, BrowserContext, BrowserType, expect, sync_playwright

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
    """A browser. Get one by `open_chromium` or `open_profile`."""

    def __init__(
        self,
        make_context: Callable[..., AbstractContextManager[BrowserContext]],
        thread: ThreadPoolExecutor,
    ) -> None:
        self._make_context = make_context
        self._thread = thread

    def run(self, task: Callable[[BrowserContext], T], /, **options: Any) -> T:
        """What ``task`` returns or raises, done in the browser's thread.

        Args:
            task: is given a context of its own: with `open_chromium` one of nobody's
                (`own_context`), with `open_profile` the profile's.
            options: of `Browser.new_context`: ``locale``, ``viewport``, ``java_script_enabled`` …
        """
        return self._thread.submit(self._do, task, options).result()

    async def __call__(self, task: Callable[[BrowserContext], T], /, **options: Any) -> T:
        """The same for trio: what this process serves meanwhile goes on."""
        return await trio.to_thread.run_sync(partial(self.run, task, **options))

    def _do(self, task: Callable[[BrowserContext], T], options: dict[str, Any]) -> T:
        with self._make_context(**options) as context:
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
    program = prefix or _program()
    with _playwright() as (thread, chromium):
        launch = partial(chromium.launch, executable_path=program, args=arguments)
        browser = thread.submit(launch).result()
        yield Chromium(partial(own_context, browser), thread)
        thread.submit(browser.close).result()


@contextmanager
def open_profile(folder: Path) -> Iterator[Chromium]:
    """A headless browser with somebody's profile: what it cached, compiled scripts too, is there
    the next time. The contexts of `open_chromium` forget it.

    Args:
        folder: of the profile; made if it is missing.

    Raises:
        ScriptError: there is no browser.
    """
    program = _program()
    with _playwright() as (thread, chromium):
        launch = partial(chromium.launch_persistent_context, folder, executable_path=program)
        yield Chromium(partial(_own_profile, launch), thread)


@contextmanager
def _own_profile(launch: Callable[..., BrowserContext], **options: Any) -> Iterator[BrowserContext]:
    with launch(**options) as context:
        context.set_default_timeout(SECONDS * 1000)
        yield context


def _program() -> Path:
    program = find_chromium()
    if program is None:
        raise ScriptError("Chromium is not installed (Debian: chromium)")
    return program


@contextmanager
def _playwright() -> Iterator[tuple[ThreadPoolExecutor, BrowserType]]:
    with ThreadPoolExecutor(1, "chromium") as thread:
        playwright = thread.submit(sync_playwright().start).result()
        expect.set_options(timeout=SECONDS * 1000)  # else five seconds
        try:
            yield thread, playwright.chromium
        finally:
            thread.submit(playwright.stop).result()
