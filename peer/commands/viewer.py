"""The viewer's commands: ``viewer install``, ``status`` and ``remove``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from p2pacs.errors import P2PacsError, StateError
from p2pacs.files.private_files import check_folder
from p2pacs.output.json_object import JsonObject
from p2pacs.output.listings import CsvOption, printed_for_programs
from p2pacs.units import format_bytes
from peer.commands.cli import AsJson, print_json
from peer.config import VIEWER, load_peer_settings
from peer.viewer import package
from peer.viewer.archive import contents, fetch_archive, verify
from peer.viewer.installed import Installed, install, read_installed, remove

ViewerHome = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        readable=False,
        help="The peer's folder, or another that several peers share (gateway.viewer_files).",
    ),
]

app = typer.Typer(no_args_is_help=True, help="Put the OHIF viewer into a peer, or take it out.")


@app.command("install")
def install_viewer(
    folder: ViewerHome,
    *,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE.tgz",
            help=f"The package, fetched elsewhere: npm pack {package.NAME}@{package.VERSION}.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", metavar="", help="Also if this version is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the viewer by npm, check it, and unpack it; a running peer serves it at once."""
    target = folder / VIEWER
    there = None if again else _readable(target)
    if there is None or not there.is_current:
        check_folder(folder)
        if archive is not None:
            there = _install(target, archive)
        else:
            with tempfile.TemporaryDirectory(prefix="p2pacs-viewer-") as name:
                there = _install(target, fetch_archive(Path(name)))
    if as_json:
        print_json(_json(target, there))
    else:
        typer.echo(f"{_line(target, there)}\n{_next(folder)}")


def _next(folder: Path) -> str:
    """What is left to do."""
    try:
        where = load_peer_settings(folder).gateway.viewer
    except P2PacsError:  # several peers share this folder, or there is none yet
        where = None
    if where is not None:
        return f"A peer that runs serves it at {where} (gateway.viewer in peer.toml)."
    return "Set gateway.viewer in peer.toml to where browsers find it, and start the peer again."


def _readable(target: Path) -> Installed | None:
    try:
        return read_installed(target)
    except StateError:
        return None  # damaged: it is replaced


def _install(target: Path, archive: Path) -> Installed:
    verify(archive)
    return install(target, contents(archive))


@app.command("status")
def viewer_status(
    folder: ViewerHome, *, as_json: AsJson = False, as_csv: CsvOption = False
) -> None:
    """Show whether the viewer is installed, and which version."""
    target = folder / VIEWER
    there = read_installed(target)
    if not printed_for_programs(_json(target, there), as_json=as_json, as_csv=as_csv):
        typer.echo(_line(target, there))


@app.command("remove")
def remove_viewer(folder: ViewerHome, *, as_json: AsJson = False) -> None:
    """Remove the viewer's files."""
    target = folder / VIEWER
    removed = remove(target)
    if as_json:
        print_json({"removed": removed, "folder": str(target)})
    else:
        typer.echo(f"Removed {target}." if removed else "The viewer was not installed.")


def _json(target: Path, there: Installed | None) -> JsonObject:
    if there is None:
        return {"installed": False, "folder": str(target)}
    return {
        "installed": True,
        "current": there.is_current,
        "package": package.NAME,
        "version": there.version,
        "licence": package.LICENSE,
        "files": len(there.files),
        "bytes": there.size,
        "folder": str(target),
    }


def _line(target: Path, there: Installed | None) -> str:
    if there is None:
        return f"The viewer is not installed: p2pacs viewer install {target.parent}"
    line = (
        f"OHIF ({package.NAME} {there.version}, {package.LICENSE} licence) is in {target}: "
        f"{len(there.files)} files, {format_bytes(there.size)}."
    )
    if there.is_current:
        return line
    return (
        f"{line}\nThis p2pacs was tried with {package.VERSION}: "
        f"p2pacs viewer install {target.parent}"
    )
