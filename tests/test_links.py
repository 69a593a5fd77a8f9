"""Documents: every relative link of a Markdown file leads to a file, and to a heading of it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT)
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "tests").rglob("*.md"),
    ]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def dead(page: Path, text: str) -> list[str]:
    """The links that lead nowhere; those to other sites are not followed."""
    return [link for link in LINK.findall(FENCE.sub("", text)) if not _leads(page, link)]


def _leads(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return False
    return not heading or heading in {_anchor(one) for one in HEADING.findall(target.read_text())}


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_there_are_pages() -> None:
    assert {Path("README.md"), Path("docs/operations.md")} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(ROOT / page, (ROOT / page).read_text()) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "there.md").write_text("# One `thing`, and more\n")
    text = "[a](there.md#one-thing-and-more) [b](https://x/y) [c](../no.py) [d](there.md#two)"
    assert dead(page, text) == ["../no.py", "there.md#two"]
