"""Whether everybody can use a page: axe-core in a real browser, and the width of a phone."""

from pathlib import Path
from typing import Final

import axe_playwright_python
from playwright.sync_api import Page

AXE: Final = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()

WIDTHS: Final = ((1280, 900), (360, 740))
"""Pixels of a desk and of a phone."""

_OF_TEXTS: Final = [
    "cat.aria", "cat.forms", "cat.language", "cat.name-role-value", "cat.text-alternatives"
]  # fmt: skip
"""Categories of rules that the words of a page may break."""

_RUN: Final = """only => axe.run(document, {
    resultTypes: ["violations"], ...(only.length ? {runOnly: only} : {}),
})"""


def violations(page: Page, *, thorough: bool = True) -> list[str]:
    """What axe-core finds wrong with a page.

    Args:
        page: that is open.
        thorough: by all rules; else by those that its words may break, a tenth of the work: for a
            page that was looked at thoroughly in another language or by another role.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate(_RUN, [] if thorough else _OF_TEXTS)["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


def too_wide(page: Page) -> list[str]:
    """Whether somebody has to scroll sideways: the widths that are and that there are."""
    there, shown = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [] if there <= shown else [f"{there} of {shown} pixels"]


def troubles(page: Page, *, thorough: bool = True) -> list[str]:
    """Both: what is seen at each of the `WIDTHS`.

    Args:
        page: that is open.
        thorough: as `violations` has it; else axe-core looks at the phone's alone.
    """
    found = []
    for width, height in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        found += [f"{width}: {one}" for one in too_wide(page)]
        if thorough or width == WIDTHS[-1][0]:
            found += [f"{width}: {one}" for one in violations(page, thorough=thorough)]
    return found
