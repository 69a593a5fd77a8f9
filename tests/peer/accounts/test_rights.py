import pytest

from p2pacs.errors import UsageError
from peer.accounts.rights import USER_RIGHTS, UserRight, UserRole, user_role


def test_every_role_stands_in_the_table_and_every_right_belongs_to_somebody() -> None:
    assert set(USER_RIGHTS) == set(UserRole)
    assert frozenset().union(*USER_RIGHTS.values()) == set(UserRight)


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (UserRole.RADIOLOGIST, {"search", "look", "fetch", "download"}, {"settings", "users"}),
        (UserRole.OPERATOR, {"search", "fetch", "send"}, {"look", "download", "settings", "users"}),
        (UserRole.ADMINISTRATOR, {"see", "settings", "users"}, {"search", "look", "download"}),
    ],
)
def test_who_may_do_what(role: UserRole, may: set[str], may_not: set[str]) -> None:
    assert may <= USER_RIGHTS[role]
    assert not may_not & USER_RIGHTS[role]


def test_who_makes_accounts_sees_no_patients() -> None:
    patients = {UserRight.SEARCH, UserRight.LOOK, UserRight.DOWNLOAD, UserRight.SEND}
    for rights in USER_RIGHTS.values():
        assert not (UserRight.USERS in rights and rights & patients)


def test_a_role_by_its_name() -> None:
    assert user_role("operator") is UserRole.OPERATOR
    with pytest.raises(UsageError, match="radiologist, operator, administrator"):
        user_role("auditor")
