"""Instances leave byte for byte as they are, or not at all."""

import hashlib

import pytest
import trio
from attrs import evolve
from pynetdicom import AE

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dimse.association.association import remote_of
from p2pacs.dimse.association.bounded_socket import BoundedSocket
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.association.store_request import accepted_pairs, send_instance
from p2pacs.errors import CorruptStoreError, PacsUnreachableError
from tests.components import HOST
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, JPEG_2000, MR, instance


@pytest.mark.parametrize("size", [0, 1, 2, 999_999, 1_000_000])
@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG_2000])
async def test_bytes_leave_as_they_are(size: int, syntax: str) -> None:
    sent = EncodedInstance(CT, "1.2.3.4", syntax, b"\x08\x00" + bytes(range(256)) * 4 + bytes(size))
    backend = Scripted()
    async with serving(backend, stores=True) as server:
        assert await client(server.port).store([sent]) == 1
    assert backend.stored == [sent]


def large(sent: EncodedInstance) -> LargeInstance:
    return LargeInstance(
        sent.sop_class_uid,
        sent.sop_instance_uid,
        sent.transfer_syntax_uid,
        hashlib.sha256(sent.data).digest(),
        len(sent.data),
        lambda first, end: sent.data[first:end],
    )


@pytest.mark.parametrize("size", [0, 1, 16_000, 3_000_000])
async def test_a_large_one_is_read_while_it_leaves(size: int) -> None:
    sent = [instance(1, size=size), instance(2)]
    backend = Scripted()
    async with serving(backend, stores=True) as server:
        assert await client(server.port).store([large(sent[0]), sent[1]]) == 2
    assert backend.stored == sent


async def test_a_large_one_that_cannot_be_read_ends_the_association() -> None:
    sent = instance(size=3_000_000)

    def read(first: int, end: int) -> bytes:
        if end > 1_500_000:
            raise CorruptStoreError("the disk is broken")
        return sent.data[first:end]

    backend = Scripted()
    async with serving(backend, stores=True) as server:
        with pytest.raises(CorruptStoreError):
            await client(server.port).store([evolve(large(sent), read=read)])
    assert backend.stored == []


async def test_what_cannot_be_sent_gives_no_status() -> None:
    async with serving(Scripted(), stores=True) as server:
        remote = DimseRemote("GATEWAY", HOST, server.port)

        def work() -> list[int | None]:
            assoc = associate(AE("SCU"), remote, [(CT, [EXPLICIT])])
            assert accepted_pairs(assoc) == {(CT, EXPLICIT)}
            assert isinstance(assoc.dul.socket, BoundedSocket)
            assert remote_of(assoc) == f"GATEWAY@{HOST}:{server.port}"
            unsendable = [
                instance(syntax=JPEG_2000),
                instance(sop_class=MR),
                EncodedInstance(CT, "1.2", EXPLICIT, b""),
            ]
            statuses = [send_instance(assoc, one, 1) for one in unsendable]
            statuses.append(send_instance(assoc, instance(), 2))
            assoc.release()
            with pytest.raises(PacsUnreachableError):
                send_instance(assoc, instance(), 3)
            return statuses

        assert await trio.to_thread.run_sync(work) == [None, None, None, 0x0000]
