"""The commands that make a machine a member, as the pages and the command line show them. Pure.

Paths and account are those of docs/operations.md and deploy/systemd/p2pacs-peer.service (a test
compares).
The token goes in by standard input: arguments can be read by every account of the machine.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from typing import Final

from attrs import field, frozen

from p2pacs.identity.directory import Role
from p2pacs.units import Endpoint

PROGRAM: Final = ("runuser", "-u", "p2pacs", "--", "/opt/p2pacs/bin/p2pacs")
FOLDER: Final = "/var/lib/p2pacs/peer"

INSTALL: Final = """\
python3 -m venv /opt/p2pacs
/opt/p2pacs/bin/pip install -c constraints.txt .
useradd --system --home-dir /var/lib/p2pacs --shell /usr/sbin/nologin p2pacs
install -d -o p2pacs -g p2pacs -m 0700 /var/lib/p2pacs"""
"""What makes program, account and folder on a new machine."""

AET_LENGTH: Final = 16
"""Characters of an AE title (PS3.5 6.2)."""


@frozen
class JoinPlan:
    """What the commands say beside the token."""

    listen: Endpoint = field(factory=lambda: _everywhere(4711))
    advertise: tuple[Endpoint, ...] = ()
    aet: str = ""
    """AE title of the gateway; empty: no gateway."""
    dicom: Endpoint | None = None
    """Where workstations find the gateway."""
    workstations: tuple[tuple[str, Endpoint], ...] = ()
    """AE titles and addresses that a C-MOVE may name."""
    web: Endpoint | None = None
    """Where the hospital's people find its pages."""


def usual_plan(name: str, role: Role) -> JoinPlan:
    """What is right for most members: a hospital has a gateway on all of its addresses."""
    if role is not Role.HOSPITAL:
        return JoinPlan()
    return JoinPlan(aet=aet_of(name), dicom=_everywhere(11112))


def join_command(token: str | None, plan: JoinPlan) -> str:
    """What to paste on the member's machine; without a token it asks for it."""
    options = [["--listen", str(plan.listen)]]
    options += [["--advertise", str(endpoint)] for endpoint in plan.advertise]
    if plan.dicom is not None:
        options.append(["--aet", plan.aet, "--dicom", str(plan.dicom)])
        options += [["--workstation", f"{aet}={where}"] for aet, where in plan.workstations]
    if plan.web is not None:
        options.append(["--web", str(plan.web)])
    if token is not None:
        options.append(["--token-file", "-"])
    lines = [shlex.join([*PROGRAM, "peer", "join", FOLDER]), *map(shlex.join, options)]
    command = " \\\n    ".join(lines)
    return command if token is None else f"{command} <<'TOKEN'\n{token}\nTOKEN"


def run_command() -> str:
    """What starts the member then."""
    return shlex.join([*PROGRAM, "peer", "run", FOLDER])


def user_command() -> str:
    """What makes the first account of a hospital's pages; it asks for the password."""
    return shlex.join([*PROGRAM, "peer", "user", "add", FOLDER, "anna", "--role", "administrator"])


def _everywhere(port: int) -> Endpoint:
    return Endpoint("0.0.0.0", port)  # noqa: S104 - of the member's machine, and only shown here


def aet_of(name: str) -> str:
    """An AE title like a name: ``North General`` becomes ``NORTH_GENERAL``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().upper()
    words = "_".join(re.findall("[A-Z0-9]+", plain))
    return words[:AET_LENGTH].rstrip("_") or "HOSPITAL"
