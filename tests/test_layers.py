"""Imports point one way, without circles, and every module is in a room (docs/architecture.md)."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("broker", "peer")

GROUND = [
    "p2pacs.admission",
    "p2pacs.bitfield",
    "p2pacs.errors",
    "p2pacs.hours",
    "p2pacs.ids",
    "p2pacs.limits",
    "p2pacs.own_interfaces",
    "p2pacs.phrases",
    "p2pacs.texts",
    "p2pacs.units",
    "p2pacs.version",
]
"""Single modules that any room may import; among each other as the circle test allows."""

COMMON: dict[str, list[str]] = {
    "p2pacs.command_line": [],
    "p2pacs.concurrency": [],
    "p2pacs.files": ["p2pacs.concurrency"],
    "p2pacs.output": [],
    "p2pacs.process": ["p2pacs.files"],
    "p2pacs.sql": ["p2pacs.concurrency"],
}
"""Rooms that any other may import, and which of themselves they may."""

ROOMS: dict[str, list[str]] = {
    "p2pacs.languages": [],
    "p2pacs.accounts": ["p2pacs.languages"],
    "p2pacs.dataset": [],
    "p2pacs.identity": [],
    "p2pacs.settings": [],
    "p2pacs.store": [],
    "p2pacs.web": ["p2pacs.languages"],
    "p2pacs.pages": [
        "p2pacs.accounts",
        "p2pacs.identity",
        "p2pacs.languages",
        "p2pacs.settings",
        "p2pacs.web",
    ],
    "p2pacs.pages.search": ["p2pacs.catalogue", "p2pacs.dataset", "p2pacs.languages"],
    "p2pacs.catalogue": ["p2pacs.dataset"],
    "p2pacs.dimse.association": ["p2pacs.dataset"],
    "p2pacs.dimse": ["p2pacs.dataset", "p2pacs.dimse.association"],
    "p2pacs.dimse.delivery": [
        "p2pacs.dataset",
        "p2pacs.dimse",
        "p2pacs.dimse.association",
        "p2pacs.transcode",
    ],
    "p2pacs.dimse.server": [
        "p2pacs.dataset",
        "p2pacs.dimse",
        "p2pacs.dimse.association",
        "p2pacs.dimse.delivery",
    ],
    "p2pacs.dimse.client": [
        "p2pacs.dataset",
        "p2pacs.dimse",
        "p2pacs.dimse.association",
        "p2pacs.dimse.delivery",
        "p2pacs.dimse.server",
    ],
    "p2pacs.dicomweb": ["p2pacs.dataset"],
    "p2pacs.dicomweb.server": [
        "p2pacs.dataset",
        "p2pacs.web",
        "p2pacs.dicomweb",
        "p2pacs.rendering",
        "p2pacs.transcode",
    ],
    "p2pacs.study.images": ["p2pacs.dataset"],
    "p2pacs.study.compressed": ["p2pacs.dataset", "p2pacs.study.images", "p2pacs.transcode"],
    "p2pacs.study": [
        "p2pacs.dataset",
        "p2pacs.identity",
        "p2pacs.study.compressed",
        "p2pacs.study.images",
    ],
    "p2pacs.rendering": ["p2pacs.dataset", "p2pacs.transcode"],
    "p2pacs.transcode": ["p2pacs.dataset"],
    "p2pacs.workers": [
        "p2pacs.dataset",
        "p2pacs.rendering",
        "p2pacs.study",
        "p2pacs.study.compressed",
        "p2pacs.study.images",
        "p2pacs.transcode",
    ],
    "p2pacs.publish": [
        "p2pacs.dataset",
        "p2pacs.identity",
        "p2pacs.store",
        "p2pacs.study",
        "p2pacs.study.images",
        "p2pacs.catalogue",
        "p2pacs.workers",
    ],
    "p2pacs.archive": [
        "p2pacs.catalogue",
        "p2pacs.dataset",
        "p2pacs.dimse",
        "p2pacs.dimse.association",
        "p2pacs.dimse.server",
    ],
    "p2pacs.wire": [],
    "p2pacs.wire.messages": ["p2pacs.identity"],
    "p2pacs.wire.channel": ["p2pacs.identity", "p2pacs.wire.messages"],
    "p2pacs.wire.link": ["p2pacs.wire.channel", "p2pacs.wire.messages"],
    "p2pacs.wire.enrolment": [
        "p2pacs.identity",
        "p2pacs.wire.channel",
        "p2pacs.wire.link",
        "p2pacs.wire.messages",
    ],
    "p2pacs.line": ["p2pacs.wire.channel"],
    "p2pacs.mapping": [],
    "p2pacs.mesh": [
        "p2pacs.identity",
        "p2pacs.line",
        "p2pacs.wire.channel",
        "p2pacs.wire.link",
        "p2pacs.wire.messages",
    ],
    "p2pacs.punch": [
        "p2pacs.identity",
        "p2pacs.mesh",
        "p2pacs.wire.channel",
        "p2pacs.wire.messages",
    ],
    "p2pacs.swarm.scheduling": ["p2pacs.line"],
    "p2pacs.swarm.studies": [
        "p2pacs.identity",
        "p2pacs.study",
        "p2pacs.wire.messages",
        "p2pacs.mesh",
        "p2pacs.swarm.scheduling",
    ],
    "p2pacs.swarm.download": [
        "p2pacs.identity",
        "p2pacs.study",
        "p2pacs.wire.messages",
        "p2pacs.line",
        "p2pacs.mesh",
        "p2pacs.swarm.scheduling",
        "p2pacs.swarm.studies",
    ],
    "p2pacs.swarm.upload": [
        "p2pacs.wire.messages",
        "p2pacs.line",
        "p2pacs.mesh",
        "p2pacs.swarm.scheduling",
        "p2pacs.swarm.studies",
    ],
    "p2pacs.swarm": [
        "p2pacs.identity",
        "p2pacs.study",
        "p2pacs.wire.channel",
        "p2pacs.wire.enrolment",
        "p2pacs.wire.messages",
        "p2pacs.line",
        "p2pacs.mesh",
        "p2pacs.punch",
        "p2pacs.swarm.scheduling",
        "p2pacs.swarm.studies",
        "p2pacs.swarm.download",
        "p2pacs.swarm.upload",
    ],
    "p2pacs.retention": [
        "p2pacs.identity",
        "p2pacs.store",
        "p2pacs.study",
        "p2pacs.wire.messages",
        "p2pacs.line",
        "p2pacs.swarm",
    ],
    "p2pacs.metrics": [
        "p2pacs.identity",
        "p2pacs.retention",
        "p2pacs.settings",
        "p2pacs.store",
        "p2pacs.swarm",
        "p2pacs.swarm.download",
        "p2pacs.web",
        "p2pacs.workers",
    ],
    "p2pacs.doctor": ["p2pacs.identity", "p2pacs.workers"],
    "broker.access": [],
    "broker.pacs": [],
    "broker.pacs.queries": ["broker.pacs"],
    "broker.pacs.retrieval": ["broker.pacs"],
    "broker.pacs.adapters": [
        "broker.pacs",
        "broker.pacs.queries",
        "broker.pacs.retrieval",
    ],
    "broker.pacs.following": ["broker.pacs"],
    "broker.config": ["broker.pacs"],
    "broker.database": [],
    "broker.database.migrations": ["broker.database"],
    "broker.database.migrations.versions": ["broker.database.migrations"],
    "broker.study_keys": ["broker.database"],
    "broker.trail": ["broker.database"],
    "broker.members": [
        "broker.access",
        "broker.config",
        "broker.database",
        "broker.trail",
    ],
    "broker.registration": [
        "broker.access",
        "broker.members",
        "broker.trail",
    ],
    "broker.admins": [
        "broker.access",
        "broker.config",
        "broker.database",
        "broker.ingest",
        "broker.members",
        "broker.trail",
    ],
    "broker.publish": ["broker.pacs"],
    "broker.ingest": ["broker.database", "broker.pacs", "broker.trail"],
    "broker.handlers": [
        "broker.access",
        "broker.database",
        "broker.ingest",
        "broker.members",
        "broker.pacs",
        "broker.publish",
        "broker.study_keys",
        "broker.trail",
    ],
    "broker.pages.shown_study": [],
    "broker.pages.content": ["broker.members"],
    "broker.pages.access": [
        "broker.access",
        "broker.database",
        "broker.members",
        "broker.pages.shown_study",
    ],
    "broker.pages.studies": [
        "broker.database",
        "broker.ingest",
        "broker.members",
        "broker.pages.content",
        "broker.trail",
    ],
    "broker.pages.traffic": ["broker.database", "broker.members"],
    "broker.pages.trail": ["broker.database", "broker.trail"],
    "broker.pages.registration": [
        "broker.admins",
        "broker.database",
        "broker.members",
        "broker.registration",
    ],
    "broker.pages.members": [
        "broker.admins",
        "broker.config",
        "broker.database",
        "broker.members",
        "broker.pages.content",
        "broker.pages.registration",
        "broker.pages.shown_study",
        "broker.registration",
        "broker.trail",
    ],
    "broker.pages": [
        "broker.admins",
        "broker.config",
        "broker.database",
        "broker.pacs",
        "broker.pages.access",
        "broker.pages.content",
        "broker.pages.members",
        "broker.pages.registration",
        "broker.pages.studies",
        "broker.pages.traffic",
        "broker.pages.trail",
        "broker.trail",
    ],
    "broker.health": [
        "broker.config",
        "broker.database",
        "broker.members",
    ],
    "broker.setup": [
        "broker.config",
        "broker.database",
        "broker.trail",
    ],
    "broker.renewal": ["broker.setup"],
    "broker.metrics": [
        "broker.config",
        "broker.database",
        "broker.publish",
    ],
    "broker.app": [
        "broker.admins",
        "broker.config",
        "broker.database",
        "broker.handlers",
        "broker.health",
        "broker.ingest",
        "broker.members",
        "broker.metrics",
        "broker.pacs",
        "broker.pacs.adapters",
        "broker.pacs.following",
        "broker.pages",
        "broker.pages.content",
        "broker.publish",
        "broker.renewal",
        "broker.setup",
        "broker.study_keys",
    ],
    "broker.commands": [
        "broker.access",
        "broker.admins",
        "broker.app",
        "broker.config",
        "broker.database",
        "broker.members",
        "broker.pacs",
        "broker.pacs.adapters",
        "broker.registration",
        "broker.setup",
        "broker.trail",
    ],
    "peer.config": [],
    "peer.db": [],
    "peer.accounts": ["peer.db"],
    "peer.retrieval.instances": [],
    "peer.retrieval.sources": ["peer.db"],
    "peer.retrieval": [
        "peer.db",
        "peer.retrieval.instances",
        "peer.retrieval.sources",
    ],
    "peer.gateway.studies": ["peer.retrieval", "peer.retrieval.instances"],
    "peer.gateway.dimse": [
        "peer.gateway.studies",
        "peer.retrieval",
        "peer.retrieval.instances",
    ],
    "peer.gateway.web": [
        "peer.gateway.studies",
        "peer.retrieval",
        "peer.retrieval.instances",
    ],
    "peer.gateway": [
        "peer.config",
        "peer.gateway.dimse",
        "peer.gateway.studies",
        "peer.gateway.web",
        "peer.retrieval",
    ],
    "peer.spool": [],
    "peer.ingest": ["peer.spool"],
    "peer.commitment": ["peer.db", "peer.ingest", "peer.spool"],
    "peer.sending": [
        "peer.config",
        "peer.gateway",
        "peer.gateway.dimse",
    ],
    "peer.sync": [
        "peer.db",
        "peer.retrieval",
        "peer.retrieval.sources",
    ],
    "peer.api": [
        "peer.config",
        "peer.ingest",
        "peer.retrieval",
        "peer.retrieval.instances",
    ],
    "peer.pages.search": ["peer.retrieval"],
    "peer.pages.live": [
        "peer.api",
        "peer.ingest",
        "peer.pages.search",
        "peer.retrieval",
        "peer.retrieval.instances",
        "peer.sending",
        "peer.spool",
    ],
    "peer.pages.settings": ["peer.config"],
    "peer.pages.sources": [
        "peer.api",
        "peer.config",
        "peer.db",
        "peer.ingest",
        "peer.pages.live",
        "peer.pages.search",
        "peer.retrieval",
        "peer.sending",
        "peer.viewer",
    ],
    "peer.pages.study": [
        "peer.api",
        "peer.pages.live",
        "peer.pages.search",
        "peer.pages.sources",
        "peer.retrieval",
        "peer.retrieval.instances",
        "peer.viewer",
    ],
    "peer.pages.transfers": [
        "peer.accounts",
        "peer.ingest",
        "peer.pages.live",
        "peer.pages.search",
        "peer.pages.sources",
        "peer.pages.study",
    ],
    "peer.pages": [
        "peer.accounts",
        "peer.config",
        "peer.db",
        "peer.pages.live",
        "peer.pages.settings",
        "peer.pages.sources",
        "peer.pages.study",
        "peer.pages.transfers",
    ],
    "peer.viewer": [
        "peer.accounts",
        "peer.config",
        "peer.gateway",
    ],
    "peer.metrics": [
        "peer.config",
        "peer.gateway",
        "peer.ingest",
        "peer.retrieval",
    ],
    "peer.outbound": [
        "peer.accounts",
        "peer.commitment",
        "peer.config",
        "peer.db",
        "peer.ingest",
        "peer.retrieval.sources",
        "peer.spool",
        "peer.sync",
    ],
    "peer.app": [
        "peer.accounts",
        "peer.api",
        "peer.config",
        "peer.db",
        "peer.gateway",
        "peer.metrics",
        "peer.outbound",
        "peer.pages",
        "peer.pages.sources",
        "peer.retrieval",
        "peer.retrieval.instances",
        "peer.retrieval.sources",
        "peer.sending",
        "peer.spool",
        "peer.sync",
        "peer.viewer",
    ],
    "peer.commands.get": ["peer.api", "peer.retrieval.instances"],
    "peer.commands.send": ["peer.api"],
    "peer.commands.output": ["peer.commands.get", "peer.commands.send", "peer.config"],
    "peer.commands": [
        "peer.accounts",
        "peer.api",
        "peer.app",
        "peer.commands.get",
        "peer.commands.output",
        "peer.commands.send",
        "peer.config",
        "peer.db",
        "peer.ingest",
        "peer.spool",
        "peer.viewer",
    ],
    "p2pacs.front": [
        "p2pacs.archive",
        "p2pacs.dimse.association",
        "p2pacs.doctor",
        "broker.commands",
        "peer.commands",
    ],
    "p2pacs.__main__": ["p2pacs.front"],
}
"""Every room, or single module with a floor of its own, and which others it may import.

What p2pacs/ shares, broker and peer may import freely; what they import of themselves is here.
"""

OWNERS = {
    "pynetdicom": [
        "p2pacs.dimse.association",
        "p2pacs.dimse.client",
        "p2pacs.dimse.delivery",
        "p2pacs.dimse.server",
    ],
    "numpy": [
        "p2pacs.rendering",
        "p2pacs.study.compressed",
        "p2pacs.study.images",
        "p2pacs.transcode",
    ],
    "imagecodecs": ["p2pacs.study.compressed", "p2pacs.study.images", "p2pacs.transcode"],
    "PIL": ["p2pacs.rendering", "peer.api", "peer.commands.get"],
    "cryptography": ["p2pacs.accounts", "p2pacs.identity", "p2pacs.study"],
    "babel": ["p2pacs.languages"],
    "fcntl": ["p2pacs.files", "p2pacs.own_interfaces", "p2pacs.workers"],
    "msvcrt": ["p2pacs.files"],
    "prometheus_client": ["p2pacs.metrics"],
    "resource": ["p2pacs.workers"],
}
"""Libraries, and modules of one operating system, that these rooms alone may import."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the programs by its dotted name; a package stands for its ``__init__``."""
    found = {}
    for top in ("p2pacs", *PROGRAMS):
        for path in sorted((ROOT / top).rglob("*.py")):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[dotted.removesuffix(".__init__")] = path
    return found


def room_of(module: str) -> str | None:
    """The room of a module: itself if it has a floor of its own, else its folder's."""
    if module in ROOMS or module in COMMON or module in GROUND:
        return module
    folder = module.rpartition(".")[0]
    return folder if folder in ROOMS or folder in COMMON else None


@cache
def imported(module: str) -> frozenset[str]:
    """What a module imports: modules of ours by their full name, others by their top name."""
    return frozenset(_imported(module))


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (_ours_or_top(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            yield from (_ours_or_top(f"{node.module}.{alias.name}") for alias in node.names)


def _ours_or_top(dotted: str) -> str:
    name = dotted
    while "." in name and name not in modules():
        name = name.rpartition(".")[0]
    return name


def circle(arrows: Mapping[str, frozenset[str]]) -> list[str] | None:
    """Some circle of a graph, as the way round it; None if there is none."""
    done: set[str] = set()
    way: list[str] = []

    def visit(name: str) -> list[str] | None:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        way.append(name)
        for there in sorted(arrows.get(name, ())):
            if found := visit(there):
                return found
        done.add(way.pop())
        return None

    return next((found for name in sorted(arrows) if (found := visit(name))), None)


@pytest.mark.parametrize("module", list(modules()))
def test_imports_point_one_way(module: str) -> None:
    if module in ("p2pacs", *PROGRAMS):
        assert not imported(module) & set(modules())
        return
    here = room_of(module)
    assert here is not None, f"{module} is in no room: name it in ROOMS, COMMON or GROUND"
    program = module.split(".", maxsplit=1)[0] in PROGRAMS
    for name in imported(module):
        if owners := OWNERS.get(name):
            assert here in owners, f"{module} imports {name}: only {owners} may"
        if name not in modules() or name == "p2pacs":  # the package itself: its version
            continue
        there = room_of(name)
        if there == here or there in GROUND:
            continue
        assert here not in GROUND, f"{module} imports {name}: the ground stands on nothing"
        if here in COMMON:
            assert there in COMMON[here], f"{module} imports {name}"
            continue
        if there in COMMON:
            continue
        if program and name.startswith("p2pacs."):
            assert there not in ("p2pacs.__main__", "p2pacs.front")
            continue
        assert there in ROOMS[here], f"{module} imports {name}"


def test_no_file_imports_itself_through_others() -> None:
    assert circle({name: imported(name) & set(modules()) for name in modules()}) is None


def test_no_room_imports_itself_through_others() -> None:
    assert circle({room: frozenset(there) for room, there in ROOMS.items()}) is None


def test_a_circle_is_found() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str]()}
    assert circle({name: frozenset(to) for name, to in arrows.items()}) == ["b", "c", "b"]


def test_every_named_room_exists() -> None:
    rooms = {room_of(name) for name in modules()}
    assert {*ROOMS, *COMMON, *GROUND} - rooms == set()


def test_every_module_stands_in_the_picture() -> None:
    """docs/architecture.md has a row for each folder, with exactly the modules that are in it."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index("<!-- rooms -->") : text.index("<!-- end of rooms -->")]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines()]
    said = {row[0].strip("`/"): set(row[2].split(", ")) for row in rows if len(row) == 3}
    folders: dict[str, set[str]] = {}
    for path in modules().values():
        folder = path.relative_to(ROOT).parent.as_posix()
        if path.stem != "__init__" and "migrations" not in folder:
            folders.setdefault(folder, set()).add(path.stem)
    folders["broker/database"].add("migrations/")
    said.pop("room")
    said.pop("---")
    assert said == folders


def _named(module: str) -> Iterator[str]:
    """Classes of a module, and types that it names by an assignment (``Found = list[Answer]``)."""
    for node in ast.parse(modules()[module].read_text()).body:
        names = [node.name] if isinstance(node, ast.ClassDef) else []
        if isinstance(node, ast.Assign):
            names = [one.id for one in node.targets if isinstance(one, ast.Name)]
        yield from (name for name in names if re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", name))


def test_a_name_has_one_meaning() -> None:
    """Who reads ``Tuning`` knows which one it is; the options of the two programs are alike."""
    homes: dict[str, list[str]] = {}
    for module in modules():
        for name in {*_named(module)} - {"AsJson", "Folder"}:
            homes.setdefault(name, []).append(module)
    assert {name: there for name, there in homes.items() if len(there) > 1} == {}


def test_migrations_stand_in_one_line() -> None:
    """Two that were made at the same time take the same number, and no broker starts."""
    versions = ROOT / "broker" / "database" / "migrations" / "versions"
    names = sorted(path.name for path in versions.glob("v[0-9]*_*.py"))
    numbers = [name.removeprefix("v").partition("_")[0] for name in names]
    assert numbers == [f"{number:04}" for number in range(1, len(names) + 1)]
    for number, name in zip(numbers, names, strict=True):
        before = f'"{int(number) - 1:04}"' if number != "0001" else "None"
        said = (versions / name).read_text()
        assert f'revision = "{number}"\n' in said, name
        assert f"down_revision = {before}\n" in said, name
