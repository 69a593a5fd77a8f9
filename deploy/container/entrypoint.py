#!/usr/bin/env python3
"""What a container does first: makes its broker, or joins its peer, once; then runs it.

    entrypoint.py broker|peer      as the environment says (deploy/compose.yaml)
    entrypoint.py health           whether what this container is for runs
    entrypoint.py ANYTHING ELSE    a command of p2pacs

Each step looks whether it was done before, so that a container may be started as often as one
likes. It needs nothing but Python's own library, and p2pacs in PATH.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DIR = Path(os.environ.get("P2PACS_DIR", "/var/lib/p2pacs/data"))
TOKENS = Path(os.environ.get("P2PACS_TOKENS", "/run/p2pacs/tokens"))
PATIENCE = float(os.environ.get("P2PACS_PATIENCE", "300"))
"""Seconds for the broker to come up and to have a token for this peer."""

NOT_REACHED = (48, 50)
"""Exit codes of p2pacs (docs/operations.md): the other side is not there, or did not answer."""


class NotStartedError(Exception):
    """What is missing in the environment."""


def main(arguments: list[str]) -> None:
    """Do what the first argument says; does not come back where a program runs."""
    os.umask(0o077)
    if arguments == ["health"]:
        sys.exit(not is_running())
    if arguments == ["broker"]:
        prepare_broker()
        run("broker", "run", str(DIR))
    elif arguments == ["peer"]:
        prepare_peer()
        run("peer", "run", str(DIR))
    else:
        run(*arguments)


# ---------------------------------------------------------------- broker


def prepare_broker() -> None:
    """A broker in `DIR`, and a token for each member that is to join."""
    if not (DIR / "broker.toml").exists():
        ask(
            *("broker", "init", str(DIR), "--pacs", said("P2PACS_PACS")),
            *("--listen", said("P2PACS_LISTEN", "0.0.0.0:4710")),
            *each("--advertise", said("P2PACS_ADVERTISE")),
            *("--web", said("P2PACS_WEB", "0.0.0.0:8443")),
            *("--admin", said("P2PACS_ADMIN"), "--password-file", said("P2PACS_PASSWORD_FILE")),
            *option("--settings", "P2PACS_SETTINGS"),
        )
    TOKENS.mkdir(parents=True, exist_ok=True)
    there = {one["name"]: one for one in answer("broker", "members", str(DIR))["members"]}
    for member in said("P2PACS_MEMBERS", "").split():
        name, _, role = member.partition("=")
        if name not in there:
            keep(name, answer("broker", "token", str(DIR), "--name", name, "--role", role))
        elif there[name]["joined"] is None and not (TOKENS / name).exists():
            keep(name, answer("broker", "token", str(DIR), "--name", name, "--renew"))


def keep(name: str, made: dict[str, Any]) -> None:
    """The token for the container of this member: whole, or not there."""
    part = TOKENS / f".{name}"
    part.write_text(made["token"] + "\n")
    part.rename(TOKENS / name)


# ---------------------------------------------------------------- peer


def prepare_peer() -> None:
    """A member in `DIR`, and its first administrator."""
    if not (DIR / "peer.toml").exists():
        join(TOKENS / said("P2PACS_NAME"))
    admin = said("P2PACS_ADMIN", "")
    if admin and not answer("peer", "user", "list", str(DIR))["users"]:
        role = ("--role", "administrator", "--password-file", said("P2PACS_PASSWORD_FILE"))
        ask("peer", "user", "add", str(DIR), admin, *role)


def join(token: Path) -> None:
    """Become a member, as soon as the broker has a token for this one and answers."""
    end = time.monotonic() + PATIENCE
    command = [
        *("peer", "join", str(DIR), "--token-file", str(token)),
        *("--listen", said("P2PACS_LISTEN", "0.0.0.0:4711")),
        *each("--advertise", said("P2PACS_ADVERTISE", "")),
        *option("--api", "P2PACS_API"),
        *option("--aet", "P2PACS_AET"),
        *option("--dicom", "P2PACS_DICOM"),
        *option("--web", "P2PACS_WEB"),
        *each("--workstation", said("P2PACS_WORKSTATIONS", "")),
        *option("--settings", "P2PACS_SETTINGS"),
    ]
    while True:
        late = time.monotonic() >= end
        if token.exists():
            done = subprocess.run(["p2pacs", *command], check=False)
            if done.returncode == 0:
                token.unlink(missing_ok=True)  # it was good once
                return
            if late or done.returncode not in NOT_REACHED:
                sys.exit(done.returncode)
        elif late:
            raise NotStartedError(f"the broker has made no token {token.name} (P2PACS_MEMBERS)")
        time.sleep(1)


# ---------------------------------------------------------------- how it is


def is_running() -> bool:
    """Whether the program in `DIR` runs, as its own command says."""
    if (DIR / "broker.toml").exists():
        return bool(answer("broker", "status", str(DIR))["running"])
    done = subprocess.run(
        ["p2pacs", "status", str(DIR), "--json"], check=False, stdout=subprocess.DEVNULL
    )
    return done.returncode == 0


# ---------------------------------------------------------------- commands, environment


def run(*arguments: str) -> None:
    """Become this command."""
    os.execvp("p2pacs", ["p2pacs", *arguments])


def ask(*arguments: str) -> str:
    """What a command of p2pacs prints; where it fails, this ends with its code."""
    done = subprocess.run(
        ["p2pacs", *arguments], check=False, stdout=subprocess.PIPE, encoding="utf-8"
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def answer(*arguments: str) -> dict[str, Any]:
    """The same of a command that prints one JSON object."""
    told: dict[str, Any] = json.loads(ask(*arguments, "--json"))
    return told


def said(name: str, default: str | None = None) -> str:
    """A variable of the environment."""
    value = os.environ.get(name) or default
    if value is None:
        raise NotStartedError(f"{name} is not set")
    return value


def option(name: str, variable: str) -> list[str]:
    """An option of a command, where its variable is set."""
    value = said(variable, "")
    return [name, value] if value else []


def each(name: str, values: str) -> list[str]:
    """An option for each of these words."""
    return [word for value in values.split() for word in (name, value)]


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NotStartedError as error:
        sys.exit(f"entrypoint: {error}")
