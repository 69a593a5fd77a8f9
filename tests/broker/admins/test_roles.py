import pytest

from broker.admins.roles import ADMIN_RIGHTS, AdminRight, AdminRole, admin_role
from p2pacs.accounts.rights import ADMINISTRATOR
from p2pacs.errors import UsageError


def test_every_role_stands_in_the_table_and_every_right_belongs_to_somebody() -> None:
    assert set(ADMIN_RIGHTS) == set(AdminRole)
    assert frozenset().union(*ADMIN_RIGHTS.values()) == set(AdminRight)


def test_an_auditor_sees_everything_and_changes_nothing() -> None:
    assert ADMIN_RIGHTS[AdminRole.AUDITOR] == {AdminRight.SEE}
    assert ADMIN_RIGHTS[ADMINISTRATOR] == set(AdminRight)


def test_a_role_by_its_name() -> None:
    assert admin_role("auditor") is AdminRole.AUDITOR
    with pytest.raises(UsageError, match="administrator, auditor"):
        admin_role("radiologist")
