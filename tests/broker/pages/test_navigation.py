import pytest

from broker.admins.roles import ADMIN_RIGHTS, AdminRole
from broker.pages.navigation import NAVIGATION
from p2pacs.pages.navigation import Way
from tests.broker.pages.conftest import Browser


@pytest.mark.parametrize("role", AdminRole)
def test_whoever_may_sign_in_is_shown_everything(role: AdminRole) -> None:
    assert all(way.right in ADMIN_RIGHTS[role] for way in NAVIGATION)


@pytest.mark.parametrize("way", NAVIGATION, ids=lambda way: way.path)
async def test_there_is_a_page_everywhere(way: Way, admin: Browser) -> None:
    page = await admin.get(way.path)
    assert page.status_code == 200
    assert f'href="{way.path}" aria-current="page"' in page.text
