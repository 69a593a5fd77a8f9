"""The list of members: who is shown, in which order, on which page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from attrs import asdict, evolve, frozen

from broker.members.holding import Holding, LastTold
from broker.members.registry import Member
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role
from p2pacs.phrases import Phrase

PAGE: Final = 50
"""Members on one page."""

STATES: Final = ("linked", "joined", "registered", "expired", "revoked")
ROLES: Final = (Role.HOSPITAL.value, Role.REPLICA.value)
_FIND: Final = 64
"""Characters that can be looked for: a name has no more."""


@frozen
class MemberRow:
    """A line of the list."""

    member: Member
    state: str
    holding: Holding
    program: str
    """That it says it is, with its version; empty while it is not linked."""
    told: LastTold | None = None
    """What it said last, while it is not linked."""


@frozen
class MemberSearch:
    """Which members are wanted, and in which order."""

    find: str = ""
    """Part of a name, an address or a rule, without regard to case."""
    state: str = ""
    role: str = ""
    sort: str = "name"
    down: bool = False
    page: int = 1

    def query(self, **changed: Any) -> str:
        """As the query of a URL, without what is usual."""
        usual, wanted = asdict(MemberSearch()), asdict(evolve(self, **changed))
        given = {name: value for name, value in wanted.items() if value != usual[name]}
        return urlencode({name: "1" if value is True else value for name, value in given.items()})

    def by(self, column: str) -> str:
        """The query that sorts by this column; once more turns the order round."""
        return self.query(sort=column, down=self.sort == column and not self.down, page=1)

    def order(self, column: str) -> str:
        """``ascending`` or ``descending`` (ARIA) if it is sorted by this column, else ``none``."""
        if self.sort != column:
            return "none"
        return "descending" if self.down else "ascending"


@frozen
class MemberPage:
    """One page of the list."""

    rows: Sequence[MemberRow]
    found: int
    """On all pages."""
    first: int
    """Number of the first row, from 1."""
    pages: int


def read_search(query: Mapping[str, str]) -> MemberSearch:
    """The search in a URL's query.

    Raises:
        UsageError: a state, role, column or page that there is not.
    """
    find = query.get("find", "").strip()
    if len(find) > _FIND:
        raise UsageError(Phrase("look for %(most)s characters at most", most=_FIND))
    sort = query.get("sort", "name")
    return MemberSearch(
        find,
        _one_of("state", query.get("state", ""), ("", *STATES)),
        _one_of("role", query.get("role", ""), ("", *ROLES)),
        _one_of("sort", sort, tuple(_SORTS)),
        query.get("down", "") == "1",
        page_number(query),
    )


def page_number(query: Mapping[str, str]) -> int:
    """Which page of a list is wanted, from 1.

    Raises:
        UsageError: there can be none.
    """
    page = query.get("page", "1")
    if not (page.isascii() and page.isdigit() and 0 < len(page) < 6 and int(page)):
        raise UsageError(Phrase("there is no such page"))
    return int(page)


def select_rows(rows: Iterable[MemberRow], search: MemberSearch) -> MemberPage:
    """The page that a search asks for; beyond the last one there is nothing."""
    found = [one for one in rows if _matches(one, search)]
    found.sort(key=_name)  # those who are alike stand by name, whichever way round
    found.sort(key=_SORTS[search.sort], reverse=search.down)
    skipped = (search.page - 1) * PAGE
    pages = max(1, -(-len(found) // PAGE))
    return MemberPage(found[skipped : skipped + PAGE], len(found), skipped + 1, pages)


def counts(rows: Iterable[MemberRow]) -> dict[str, int]:
    """How many members are in each state."""
    found = dict.fromkeys(STATES, 0)
    for row in rows:
        found[row.state] += 1
    return found


def _name(row: MemberRow) -> str:
    return row.member.name.lower()


def _seen(row: MemberRow) -> float:
    return float("inf") if row.state == "linked" else float(row.member.last_seen or 0)


_SORTS: Final[Mapping[str, Callable[[MemberRow], Any]]] = {
    "name": _name,
    "state": lambda row: STATES.index(row.state),
    "role": lambda row: row.member.role.value,
    "uplink": lambda row: row.member.uplink or float("inf"),
    "seen": _seen,
    "holds": lambda row: row.holding.studies,
    "program": lambda row: row.program,
}


def _matches(row: MemberRow, search: MemberSearch) -> bool:
    member, find = row.member, search.find.lower()
    within = (member.name.lower(), str(member.address), member.read.lower(), row.program.lower())
    return (
        (not search.state or row.state == search.state)
        and (not search.role or member.role.value == search.role)
        and (not find or any(find in text for text in within))
    )


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        there = ", ".join(filter(None, known))
        raise UsageError(Phrase("%(name)s is one of: %(known)s", name=name, known=there))
    return value
