"""The commands about people who sign in to the hospital's pages: ``peer user …``.

They work whether the peer runs or not; a running one heeds a change at the next request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from attrs import asdict
from sqlalchemy import Connection

from p2pacs.accounts import people
from p2pacs.accounts.passwords import check_name
from p2pacs.command_line.private_input import PasswordFile, read_private, sure
from p2pacs.errors import NotFoundError, StateError
from p2pacs.output.listings import CsvOption, PrintedList, print_listing
from p2pacs.output.tables import Column, Table
from p2pacs.process import logs
from peer.accounts.rights import user_role
from peer.accounts.trail import note
from peer.config import PEER_DB, load_peer_settings
from peer.db import PeerDatabase, connect

WHO: Final = "command line"
"""The actor in the trail."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="The peer's folder.")]
AccountName = Annotated[str, typer.Argument(metavar="NAME", help="What is typed to sign in.")]
_ROLES: Final = "radiologist (looks at images), operator (does not), administrator (of accounts)."

RoleOption = Annotated[str, typer.Option(metavar="ROLE", help=_ROLES)]
RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help=_ROLES)]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object.")]

app = typer.Typer(no_args_is_help=True, help="Who may sign in to the hospital's pages.")


@app.command()
def add(
    folder: Folder, name: AccountName, *, role: RoleOption, password_file: PasswordFile = None
) -> None:
    """Make an account."""
    check_name(name)
    wanted = user_role(role)
    with _opened(folder) as database:
        if database.transact(lambda c: people.has_account(c, name)):
            raise StateError(f"there is an account {name!r} already: p2pacs peer user list")
        secret = read_private(password_file, "Password", twice=True)

        def work(connection: Connection) -> None:
            people.add_account(connection, name, secret, wanted)
            note(connection, WHO, "account added", f"{name}: {wanted}")

        database.transact(work)
    typer.echo(f"{name} may sign in as {wanted}.")


@app.command()
def password(folder: Folder, name: AccountName, *, password_file: PasswordFile = None) -> None:
    """Set a new password; who is signed in with the old one is no more."""
    with _opened(folder) as database:
        _known(database, name)
        secret = read_private(password_file, "Password", twice=True)

        def work(connection: Connection) -> None:
            people.set_password(connection, name, secret)
            note(connection, WHO, "password set", name)

        database.transact(work)
    typer.echo(f"The password of {name} is set; {name} is signed out everywhere.")


@app.command()
def role(folder: Folder, name: AccountName, role: RoleArgument) -> None:
    """Say what an account may do, from its next request on."""
    wanted = user_role(role)
    with _opened(folder) as database:

        def work(connection: Connection) -> None:
            people.set_role(connection, name, wanted)
            note(connection, WHO, "role set", f"{name}: {wanted}")

        database.transact(work)
    typer.echo(f"{name} is {wanted} from now on.")


@app.command("reset-second-factor")
def reset_second_factor(folder: Folder, name: AccountName) -> None:
    """For who has lost phone and recovery codes: the password alone does again."""
    with _opened(folder) as database:

        def work(connection: Connection) -> None:
            people.reset_second_factor(connection, name)
            note(connection, WHO, "second factor removed", name)

        database.transact(work)
    typer.echo(f"{name} signs in by the password alone.")


@app.command()
def remove(
    folder: Folder,
    name: AccountName,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
) -> None:
    """Remove an account: signed out at once, and good no more."""
    with _opened(folder) as database:
        _known(database, name)
        if not yes:
            sure(f"Remove the account {name}")

        def work(connection: Connection) -> None:
            people.remove_account(connection, name)
            note(connection, WHO, "account removed", name)

        database.transact(work)
    typer.echo(f"{name} is removed.")


@app.command("list")
def list_users(folder: Folder, *, as_json: AsJson = False, as_csv: CsvOption = False) -> None:
    """List the accounts."""
    with _opened(folder) as database:
        found = database.transact(people.list_accounts)
    code = {True: "yes", False: "no"}
    table = Table(
        (Column("Name"), Column("Role"), Column("Second factor")),
        [(one.name, one.role, code[one.second_factor]) for one in found],
    )
    rows = [asdict(one) for one in found]
    if found or as_json or as_csv:
        listing = PrintedList("users", ("name", "role", "second_factor"), rows, lambda: table)
        print_listing(listing, as_json=as_json, as_csv=as_csv)
    else:
        typer.echo("Nobody yet: p2pacs peer user add DIR NAME --role administrator", err=True)


@contextmanager
def _opened(folder: Path) -> Iterator[PeerDatabase]:
    """The peer's database.

    Raises:
        StateError: there is no peer, or one of a newer version.
    """
    logs.configure("warning", json=False)
    load_peer_settings(folder)
    database = connect(folder / PEER_DB)
    try:
        yield database
    finally:
        database.close()


def _known(database: PeerDatabase, name: str) -> None:
    if not database.transact(lambda c: people.has_account(c, name)):
        raise NotFoundError(f"there is no account {name!r}: p2pacs peer user list")
