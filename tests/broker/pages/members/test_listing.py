import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from broker.members.holding import Holding
from broker.pages.members.listing import (
    PAGE,
    ROLES,
    STATES,
    MemberRow,
    MemberSearch,
    counts,
    page_number,
    read_search,
    select_rows,
)
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role
from tests.broker.pages.registration.test_forms import MEMBER


def row(name: str, state: str = "linked", **more: object) -> MemberRow:
    held = Holding(studies=int(str(more.pop("studies", 0))))
    return MemberRow(evolve(MEMBER, name=name, **more), state, held, "p2pacs/1")


ROWS = [
    row("b", "joined", last_seen=5, uplink=None, studies=1),
    row("A", "linked", last_seen=1, role=Role.REPLICA, read="none"),
    row("c", "revoked", read="Modality=CT", studies=9),
]


@pytest.mark.parametrize(
    ("search", "names"),
    [
        (MemberSearch(), "Abc"),
        (MemberSearch(down=True), "cbA"),
        (MemberSearch(sort="state"), "Abc"),
        (MemberSearch(sort="holds", down=True), "cbA"),
        (MemberSearch(sort="seen", down=True), "Abc"),
        (MemberSearch(sort="uplink", down=True), "bAc"),
        (MemberSearch(sort="program", down=True), "Abc"),
        (MemberSearch(state="joined"), "b"),
        (MemberSearch(role="replica"), "A"),
        (MemberSearch(find="modality=ct"), "c"),
        (MemberSearch(find="B"), "b"),
        (MemberSearch(page=2), ""),
    ],
)
def test_who_is_shown_in_which_order(search: MemberSearch, names: str) -> None:
    found = select_rows(ROWS, search)
    assert "".join(one.member.name for one in found.rows) == names
    assert found.pages == 1


def test_pages() -> None:
    rows = [row(f"{number:04}") for number in range(2 * PAGE + 1)]
    pages = [select_rows(rows, MemberSearch(page=page)) for page in (1, 2, 3)]
    assert [(one.first, len(one.rows), one.found, one.pages) for one in pages] == [
        (1, PAGE, 2 * PAGE + 1, 3),
        (PAGE + 1, PAGE, 2 * PAGE + 1, 3),
        (2 * PAGE + 1, 1, 2 * PAGE + 1, 3),
    ]
    assert counts(ROWS) == dict.fromkeys(STATES, 0) | {"linked": 1, "joined": 1, "revoked": 1}


SEARCHES = st.builds(
    MemberSearch,
    find=st.text("Nörth %&=+<", max_size=8).map(str.strip),
    state=st.sampled_from(("", *STATES)),
    role=st.sampled_from(("", *ROLES)),
    sort=st.sampled_from(("name", "state", "role", "uplink", "seen", "holds", "program")),
    down=st.booleans(),
    page=st.integers(1, 99),
)


@given(SEARCHES)
def test_a_search_comes_back_out_of_its_url(search: MemberSearch) -> None:
    assert read_search(QueryParams(search.query())) == search


def test_a_column_that_is_sorted_by_turns_round() -> None:
    search = MemberSearch(sort="seen", page=3)
    assert search.by("seen") == "sort=seen&down=1"
    assert search.by("name") == ""
    assert MemberSearch(sort="seen", down=True).by("seen") == "sort=seen"
    assert (search.order("seen"), search.order("name")) == ("ascending", "none")


@given(st.dictionaries(st.sampled_from(["find", "state", "role", "sort", "page"]), st.text()))
def test_any_query_is_a_search_or_wrong(query: dict[str, str]) -> None:
    try:
        search = read_search(query)
    except UsageError:
        return
    assert len(select_rows(ROWS, search).rows) <= len(ROWS)


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "²", "100000"])
def test_no_such_page(page: str) -> None:
    with pytest.raises(UsageError):
        page_number({"page": page})
