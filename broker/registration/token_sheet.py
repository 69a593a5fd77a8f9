"""Tokens of several members as a CSV file, for who hands them on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from broker.members.registry import Member
from broker.trail.audit import utc
from p2pacs.output.csv_text import csv_text

COLUMNS: Final = ("name", "role", "address", "token", "good until")


def token_sheet(made: Iterable[tuple[Member, str]]) -> str:
    """Members and their tokens, with a line that names the columns."""
    cells = (
        (
            member.name,
            member.role.value,
            str(member.address),
            token,
            "" if member.token_expires is None else utc(member.token_expires),
        )
        for member, token in made
    )
    return csv_text(COLUMNS, (dict(zip(COLUMNS, row, strict=True)) for row in cells))
