from broker.config import BrokerSettings
from broker.members.membership import Membership, open_membership
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.directory import Role
from tests.broker.conftest import Ground


def opened(ground: Ground, *listen: str) -> Membership:
    settings = BrokerSettings.model_validate(
        {
            "pacs": "dimse://PACS@127.0.0.1:104",
            "name": "the broker",
            "listen": listen,
            "web": {"listen": "127.0.0.1:0"},
        }
    )
    return open_membership(ground.database, ground.identity, ground.authority, ground.key, settings)


async def test_the_directory_lists_the_broker_as_its_settings_say(ground: Ground) -> None:
    membership = opened(ground, "10.0.0.1:4710")
    assert await membership.keeper.refresh()
    (me,) = membership.book.directory.members
    assert (me.name, me.role, me.endpoints) == ("the broker", Role.BROKER, ("10.0.0.1:4710",))
    assert not await membership.keeper.refresh()
    assert await opened(ground, "10.0.0.2:4710").keeper.refresh()


async def test_it_goes_on_with_the_directory_that_was_signed_last(ground: Ground) -> None:
    first = opened(ground, "10.0.0.1:4710")
    await first.keeper.refresh()
    again = opened(ground, "10.0.0.1:4710")
    assert again.book.directory == first.book.directory
    assert not await again.keeper.refresh()
    on_disk = DirectoryBook(ground.identity.folder / FILE, ground.key.public)
    assert on_disk.directory == first.book.directory
