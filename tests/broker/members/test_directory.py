import msgpack
import pytest
import trio
from attrs import evolve

from broker.database.db import BrokerDatabase, bump, connect, now
from broker.members import directory, registry
from broker.members.directory import DirectoryKeeper
from p2pacs.identity.directory import PURPOSE, BrokerKey, Role, load_directory, sign_directory
from p2pacs.ids import VirtualAddress
from tests.broker.conftest import Ground


async def _join(
    database: BrokerDatabase, address: VirtualAddress, expires: int | None = None
) -> None:
    await database.run(
        lambda c: registry.join(
            c,
            address,
            key_hash=b"k" * 32,
            box_key=b"b" * 32,
            endpoints=["10.0.0.1:1"],
            certificate_expires=expires or now() + 10**9,
        )
    )


async def test_the_directory_follows_the_registry(ground: Ground) -> None:
    assert await ground.keeper.refresh()
    assert [member.role for member in ground.book.directory.members] == [Role.BROKER]
    assert not await ground.keeper.refresh()
    north, _ = await ground.register("North")
    assert not await ground.keeper.refresh()
    await _join(ground.database, north.address)
    assert await ground.keeper.refresh()
    first = ground.book.directory
    record = first.get(north.address)
    assert record is not None
    assert (record.name, record.endpoints, record.revoked) == ("North", ("10.0.0.1:1",), False)
    await ground.database.run(lambda c: registry.revoke(c, north.address))
    assert await ground.keeper.refresh()
    second = load_directory(ground.book.raw, ground.key.public)
    record = second.get(north.address)
    assert record is not None
    assert record.revoked
    assert second.version > first.version
    assert second.epoch > first.epoch


async def test_new_endpoints_of_the_broker_are_told(ground: Ground) -> None:
    await ground.keeper.refresh()
    before = ground.book.directory.version
    moved = directory.broker_record(ground.identity, "broker", [])
    keeper = DirectoryKeeper(ground.database, ground.book, ground.key, moved)
    assert await keeper.refresh()
    assert ground.book.directory.version > before
    assert moved in ground.book.directory.members


async def test_members_revoked_long_ago_are_no_longer_listed(ground: Ground) -> None:
    north, _ = await ground.register("North")
    ended = now() - 2 * 24 * 3600 * 1000
    await _join(ground.database, north.address, expires=ended)
    await ground.database.run(lambda c: registry.revoke(c, north.address))
    await ground.keeper.refresh()
    assert ground.book.directory.get(north.address) is None


async def test_a_directory_of_version_0_1_is_signed_anew_with_the_brokers_key(
    ground: Ground,
) -> None:
    await ground.keeper.refresh()
    held = ground.book.directory
    (me,) = held.members
    row = [bytes(me.address), me.name, "broker", list(me.endpoints), me.key_hash, me.box_key, False]
    body = msgpack.packb([1, held.version + 1, held.epoch, [row]])
    assert ground.book.update(ground.key.sign(body, PURPOSE) + body)
    assert ground.book.directory.broker_keys == ()
    assert await ground.keeper.refresh()
    directory = ground.book.directory
    assert directory.version > held.version + 1
    assert directory.broker_keys == (BrokerKey(me.address, ground.key.public.raw),)
    assert load_directory(ground.book.raw, ground.key.public) == directory
    assert not await ground.keeper.refresh()


async def test_a_restored_broker_goes_on_above_what_its_members_were_told(ground: Ground) -> None:
    """Whatever the clock says: it signed a directory of a version that its database lacks."""
    await ground.keeper.refresh()
    held = ground.book.directory
    told = evolve(held, version=held.version + 10**12)
    assert ground.book.update(sign_directory(told, ground.key))
    assert await ground.keeper.refresh()
    assert ground.book.directory.version == told.version + 1
    assert not await ground.keeper.refresh()


async def test_a_change_by_another_program_is_noticed(ground: Ground) -> None:
    changed = trio.Event()
    await ground.keeper.refresh()
    ground.book.subscribe(lambda _: changed.set())
    other = connect(ground.path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ground.keeper.watch, 0.01)
        await trio.to_thread.run_sync(other.transact, lambda c: bump(c, registry.DIRECTORY))
        with trio.fail_after(20):
            await changed.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("joined", [True, False])
async def test_only_who_has_joined_is_listed(ground: Ground, joined: bool) -> None:
    north, _ = await ground.register("North")
    if joined:
        await _join(ground.database, north.address)
    members = await ground.database.run(registry.list_members)
    assert len(directory.listed(members, now())) == joined
