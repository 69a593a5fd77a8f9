"""The broker's commands about administrators: who there are, a new password, one who leaves."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from broker.cli_common import WHO, AsJson, Folder, PasswordFile, Yes, opened, print_json
from broker.members import audit
from p2pacs.accounts import passwords
from p2pacs.errors import NotFoundError
from p2pacs.private_input import read_private, sure


def add_commands(app: typer.Typer) -> None:
    """Add ``password`` and ``admins``."""
    app.command()(password)
    app.command()(admins)


def password(
    folder: Folder,
    *,
    admin: Annotated[str, typer.Option(metavar="NAME", help="The administrator.")],
    password_file: PasswordFile = None,
) -> None:
    """Change an administrator's password, or add an administrator."""
    passwords.check_name(admin)
    _, database = opened(folder)
    text = read_private(password_file, "Password", twice=True)

    def change(connection: Connection) -> bool:
        is_new = passwords.set_password(connection, admin, text)
        what = "administrator added" if is_new else "password set"
        audit.record(connection, audit.Entry(what, WHO, detail=admin))
        return is_new

    if database.transact(change):
        typer.echo(f"{admin} is a new administrator.")
    else:
        typer.echo(f"The password of {admin} is set; {admin} is signed out everywhere.")


def admins(
    folder: Folder,
    *,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remove this one, who signs in no more.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """List the administrators, or remove one who is none any more."""
    _, database = opened(folder)
    if remove is not None:
        if remove not in database.transact(passwords.list_accounts):
            raise NotFoundError(f"no administrator is called {remove!r}: p2pacs broker admins")
        if not yes:
            sure(f"Remove the administrator {remove}")

        def leave(connection: Connection) -> None:
            passwords.remove_account(connection, remove)
            audit.record(connection, audit.Entry("administrator removed", WHO, detail=remove))

        database.transact(leave)
    left = database.transact(passwords.list_accounts)
    if as_json:
        print_json({"administrators": left})
    else:
        typer.echo("\n".join(left))
