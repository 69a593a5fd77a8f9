from broker.handlers import feed
from broker.handlers.member_news import MemberNews
from p2pacs.identity.directory import Role
from p2pacs.wire.messages.messages import CatalogueNews, DirectoryNews
from tests.broker.conftest import Ground
from tests.broker.parts import FakeLinks


async def test_a_newer_directory_is_pushed_to_all_and_a_catalogue_to_hospitals(
    ground: Ground,
) -> None:
    links = FakeLinks()
    news = MemberNews(links, ground.book)
    ground.book.subscribe(news.directory_changed)
    await ground.keeper.refresh()
    news.catalogue_grown(7)
    assert links.told_roles == [
        (DirectoryNews(ground.book.raw), [Role.HOSPITAL, Role.REPLICA]),
        (CatalogueNews(feed.position(7, 0)), [Role.HOSPITAL]),
    ]
