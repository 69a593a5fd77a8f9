"""Imports point one way: base → rooms → broker | peer → __main__ (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

BASE = [
    "p2pacs.errors",
    "p2pacs.limits",
    "p2pacs.ids",
    "p2pacs.instance",
    "p2pacs.bitfield",
    "p2pacs.units",
    "p2pacs.hours",
    "p2pacs.settings",
    "p2pacs.logs",
    "p2pacs.groups",
]

ALLOWED: dict[str, list[str]] = {
    "p2pacs.budget": [],
    "p2pacs.bitfield": [],
    "p2pacs.errors": [],
    "p2pacs.groups": [],
    "p2pacs.heap": [],
    "p2pacs.limits": [],
    "p2pacs.instance": ["p2pacs.errors"],
    "p2pacs.ids": ["p2pacs.errors"],
    "p2pacs.units": ["p2pacs.errors"],
    "p2pacs.hours": ["p2pacs.errors", "p2pacs.units"],
    "p2pacs.settings": ["p2pacs.errors", "p2pacs.units", "p2pacs.hours"],
    "p2pacs.logs": ["p2pacs.errors"],
    "p2pacs.stopping": ["p2pacs.errors"],
    "p2pacs.identity.keys": BASE,
    "p2pacs.identity": [*BASE, "p2pacs.identity.keys"],
    "p2pacs.study.header": ["p2pacs.errors"],
    "p2pacs.study.images": [*BASE, "p2pacs.study.header"],
    "p2pacs.study": [*BASE, "p2pacs.identity.keys", "p2pacs.study.header", "p2pacs.study.images"],
    "p2pacs.workers": [
        *BASE,
        "p2pacs.heap",
        "p2pacs.study",
        "p2pacs.study.images",
    ],
    "p2pacs.store": BASE,
    "p2pacs.wire": [*BASE, "p2pacs.identity", "p2pacs.identity.keys"],
    "p2pacs.swarm": [
        *BASE,
        "p2pacs.identity",
        "p2pacs.identity.keys",
        "p2pacs.study",
        "p2pacs.store",
        "p2pacs.wire",
    ],
    "p2pacs.catalog": BASE,
    "p2pacs.dicom": [*BASE, "p2pacs.catalog"],
    "p2pacs.web": BASE,
}
SHARED = [name for name in ALLOWED if name != "p2pacs.__main__"]
ALLOWED["broker"] = SHARED
ALLOWED["peer"] = SHARED
ALLOWED["p2pacs.__main__"] = [*SHARED, "broker", "peer"]

OWNERS = {
    "pynetdicom": ["p2pacs.dicom"],
    "numpy": ["p2pacs.study.images"],
    "imagecodecs": ["p2pacs.study.images"],
    "PIL": ["peer"],
    "cryptography": ["p2pacs.identity", "p2pacs.identity.keys", "p2pacs.study"],
}
"""Libraries that these rooms alone may import."""


def room_of(module: str) -> str:
    """The room that a dotted module name lies in: the longest key of ALLOWED that is its prefix."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in ALLOWED:
            return name
    return parts[0]


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("p2pacs", "broker", "peer"):
        for path in sorted((ROOT / top).rglob("*.py")):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield dotted.removesuffix(".__init__"), path


def imports(path: Path, module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=str)
def test_imports_point_one_way(module: str, path: Path) -> None:
    here = room_of(module)
    for name in imports(path, module):
        top = name.split(".")[0]
        if owners := OWNERS.get(top):
            assert here in owners, f"{module} imports {name}: only {owners} may"
        if top not in ("p2pacs", "broker", "peer"):
            continue
        there = room_of(name)
        if there == "p2pacs":  # the package itself: its version
            continue
        assert there == here or there in ALLOWED[here], f"{module} imports {name}"
