"""Whether everybody can use a page: axe-core in a real browser, and the width of a phone."""

from pathlib import Path
from typing import Final

import axe_playwright_python
from playwright.sync_api import Page

AXE: Final = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()

WIDTHS: Final = ((1280, 900), (360, 740))
"""Pixels of a desk and of a phone."""

_RULES: Final = """colours => axe.run(document, {
    resultTypes: ["violations"], rules: {"color-contrast": {enabled: colours}},
})"""


def violations(page: Page, *, colours: bool = True) -> list[str]:
    """What axe-core finds wrong with a page.

    Args:
        page: that is open.
        colours: whether contrasts are looked at, which takes most of the time and is the same in
            all languages.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate(_RULES, colours)["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


def too_wide(page: Page) -> list[str]:
    """Whether somebody has to scroll sideways: the widths that are and that there are."""
    there, shown = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [] if there <= shown else [f"{there} of {shown} pixels"]


def troubles(page: Page, *, thorough: bool = True) -> list[str]:
    """Both, at each of the `WIDTHS`, the phone's last.

    Args:
        page: that is open.
        thorough: everything at every width; else colours nowhere, and axe-core on the phone alone:
            for a page that was looked at thoroughly in another language or by another role.
    """
    found = []
    for width, height in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        found += [f"{width}: {one}" for one in too_wide(page)]
        if thorough or width == WIDTHS[-1][0]:
            found += [f"{width}: {one}" for one in violations(page, colours=thorough)]
    return found
