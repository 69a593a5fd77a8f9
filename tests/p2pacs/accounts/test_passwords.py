import pytest

from p2pacs.accounts.passwords import check_account
from p2pacs.errors import UsageError
from tests.p2pacs.accounts.conftest import CHEAP

PASSWORD = "a password of some length"


def test_nobody_has_no_password() -> None:
    assert not CHEAP.matches(None, "nobody's password")
    assert not CHEAP.matches("no hash", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password"),
    [("", PASSWORD), (" a", PASSWORD), ("a\n", PASSWORD), ("a", "short"), ("a", "x" * 1025)],
)
def test_accounts_that_cannot_be(name: str, password: str) -> None:
    with pytest.raises(UsageError):
        check_account(name, password)
