"""The broker's commands about administrators: who there are, passwords, roles, who leaves."""

from __future__ import annotations

from typing import Annotated

import typer
from attrs import asdict
from sqlalchemy import Connection

from broker.admins.roles import AdminRole, admin_role
from broker.commands.common import WHO, AsJson, Folder, Yes, opened
from broker.trail import audit
from p2pacs.accounts import people
from p2pacs.accounts.passwords import check_name
from p2pacs.command_line.private_input import PasswordFile, read_private, sure
from p2pacs.errors import NotFoundError, UsageError
from p2pacs.output.listings import CsvOption, PrintedList, print_listing
from p2pacs.output.tables import Column, Table

Admin = Annotated[str, typer.Option(metavar="NAME", help="The administrator.")]


def add_commands(app: typer.Typer) -> None:
    """Add ``password``, ``role``, ``reset-second-factor`` and ``admins``."""
    app.command()(password)
    app.command()(role)
    app.command("reset-second-factor")(reset_second_factor)
    app.command()(admins)


def password(
    folder: Folder,
    *,
    admin: Admin,
    role: Annotated[
        str | None,
        typer.Option(metavar="|".join(AdminRole), help="Of a new one; an auditor changes nothing."),
    ] = None,
    password_file: PasswordFile = None,
) -> None:
    """Change an administrator's password, or add an administrator."""
    check_name(admin)
    wanted = None if role is None else admin_role(role)
    _, database = opened(folder)
    if wanted and database.transact(lambda c: people.has_account(c, admin)):
        raise UsageError(f"{admin} has a role already: p2pacs broker role {folder} changes it")
    text = read_private(password_file, "Password", twice=True)
    given = wanted or AdminRole.ADMINISTRATOR

    def change(connection: Connection) -> bool:
        is_new = not people.has_account(connection, admin)
        if is_new:
            people.add_account(connection, admin, text, given)
            entry = audit.Entry("administrator added", WHO, detail=f"{admin}: {given}")
        else:
            people.set_password(connection, admin, text)
            entry = audit.Entry("password set", WHO, detail=admin)
        audit.record(connection, entry)
        return is_new

    if database.transact(change):
        typer.echo(f"{admin} is a new {given}.")
    else:
        typer.echo(f"The password of {admin} is set; {admin} is signed out everywhere.")


def role(
    folder: Folder,
    *,
    admin: Admin,
    role: Annotated[
        str, typer.Option(metavar="|".join(AdminRole), help="An auditor changes nothing.")
    ],
) -> None:
    """Say what an administrator may do."""
    wanted = admin_role(role)
    _, database = opened(folder)

    def change(connection: Connection) -> None:
        people.set_role(connection, admin, wanted)
        audit.record(connection, audit.Entry("role set", WHO, detail=f"{admin}: {wanted}"))

    database.transact(change)
    typer.echo(f"{admin} is {wanted} from now on.")


def reset_second_factor(folder: Folder, *, admin: Admin) -> None:
    """For who has lost phone and recovery codes: the password alone does again."""
    _, database = opened(folder)

    def change(connection: Connection) -> None:
        people.reset_second_factor(connection, admin)
        audit.record(connection, audit.Entry("second factor removed", WHO, detail=admin))

    database.transact(change)
    typer.echo(f"{admin} signs in by the password alone.")


def admins(
    folder: Folder,
    *,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remove this one, who signs in no more.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    as_csv: CsvOption = False,
) -> None:
    """List the administrators, or remove one who is none any more."""
    _, database = opened(folder)
    if remove is not None:
        if not database.transact(lambda c: people.has_account(c, remove)):
            raise NotFoundError(f"no administrator is called {remove!r}: p2pacs broker admins")
        if not yes:
            sure(f"Remove the administrator {remove}")

        def leave(connection: Connection) -> None:
            people.remove_account(connection, remove)
            audit.record(connection, audit.Entry("administrator removed", WHO, detail=remove))

        database.transact(leave)
    left = database.transact(people.list_accounts)
    code = {True: "yes", False: "no"}
    table = Table(
        (Column("Name"), Column("Role"), Column("Second factor")),
        [(one.name, one.role, code[one.second_factor]) for one in left],
    )
    rows = [asdict(one) for one in left]
    listing = PrintedList("administrators", ("name", "role", "second_factor"), rows, lambda: table)
    print_listing(listing, as_json=as_json, as_csv=as_csv)
