"""Instances leave byte for byte as they are, or not at all."""

import pytest
import trio
from pynetdicom import AE

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.association import remote_of
from p2pacs.dimse.association.bounded_socket import BoundedSocket
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.association.store_request import accepted_pairs, send_instance
from p2pacs.errors import PacsUnreachableError
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
