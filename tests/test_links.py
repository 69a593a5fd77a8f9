"""Texts name what is there: links of documents, and what stands in backticks anywhere."""

import builtins
import re
from functools import cache
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


TREES = ("p2pacs", "broker", "peer", "scripts", "tests", "docs", "deploy")
SOURCES = sorted(path.relative_to(ROOT) for tree in TREES for path in (ROOT / tree).rglob("*.py"))
QUOTED = re.compile(r"(?<!`)`([^`\s]+)`(?!`)")
HERE = Path(__file__).relative_to(ROOT)
NO_FILE = {"p2pacs/1"}
"""Protocol names (ALPN)."""


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


@cache
def names() -> frozenset[str]:
    """Every module, and every word of the code beside docstrings and comments."""
    found = {*dir(builtins), *(source.stem for source in SOURCES)}
    for source in SOURCES:
        code = re.sub(r'"""[\s\S]*?"""|#.*', "", (ROOT / source).read_text())
        found.update(re.findall(r"\w+", code))
    return frozenset(found)


def unknown(text: str) -> list[str]:
    """What stands in backticks as a file, a folder, a module or a thing in it, and is not there."""
    return [quoted for quoted in QUOTED.findall(text) if not _is_there(quoted)]


def _is_there(quoted: str) -> bool:
    top = re.match(rf"({'|'.join(TREES)})([/.])", quoted)
    if top and top[2] == "/":
        return quoted in NO_FILE or any(ROOT.glob(quoted.partition("::")[0].rstrip("/")))
    if re.fullmatch(r"[\w/]*\.py", quoted):
        return any(f"/{source}".endswith(f"/{quoted}") for source in SOURCES)
    if top and re.fullmatch(r"\w+(\.\w+)+(?<!\.toml)(?<!\.db)", quoted):
        return _module_has(quoted.split("."))
    return True


def _module_has(parts: list[str]) -> bool:
    """Whether a dotted name is a package, a module, or something that the module names."""
    for end in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:end])
        for source in (place.with_suffix(".py"), place / "__init__.py"):
            if source.exists():
                rest = parts[end : end + 1]
                return not rest or re.search(rf"\b{rest[0]}\b", source.read_text()) is not None
    return False


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_documents_name_what_is_there(page: Path) -> None:
    assert unknown((ROOT / page).read_text()) == []


def test_sources_name_what_is_there() -> None:
    texts = {source: (ROOT / source).read_text() for source in SOURCES if source != HERE}
    assert {str(source): gone for source, text in texts.items() if (gone := unknown(text))} == {}


def test_docstrings_name_what_is_there() -> None:
    """A class, function or value by its bare name; other words stand in double backticks."""
    gone = {
        f"{source}: {quoted}"
        for source in SOURCES
        if source != HERE
        for quoted in QUOTED.findall((ROOT / source).read_text())
        if re.fullmatch(r"[A-Za-z_]\w*", quoted) and quoted not in names()
    }
    assert gone == set()


def test_what_is_gone_is_found() -> None:
    text = (
        "`tests/test_links.py` `p2pacs/gone/` `docs/*.md` `errors.py` `gone.py` `p2pacs.errors` "
        "`p2pacs.gone.Name` `p2pacs.errors.P2PacsError` `p2pacs.errors.Gone` `peer.toml`"
    )
    assert unknown(text) == ["p2pacs/gone/", "gone.py", "p2pacs.gone.Name", "p2pacs.errors.Gone"]
