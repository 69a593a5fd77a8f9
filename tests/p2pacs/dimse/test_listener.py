import pytest
import trio
from pynetdicom import AE

from p2pacs import limits
from p2pacs.dimse import contexts
from p2pacs.dimse._association import Association, associate, release
from p2pacs.dimse._listener import Listener
from p2pacs.dimse.remote import DimseRemote
from p2pacs.errors import PacsUnreachableError, UsageError
from p2pacs.units import Endpoint
from tests.components import HOST
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import EXPLICIT


async def test_who_may_call_is_restricted() -> None:
    async with serving(Scripted(), allowed_callers=["ONE", "TWO "]) as server:
        await client(server.port, aet="TWO").echo()
        with pytest.raises(PacsUnreachableError, match="rejects"):
            await client(server.port, aet="THREE").echo()


async def test_associations_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DICOM_ASSOCIATIONS", 3)
    async with serving(Scripted()) as server:
        remote = DimseRemote("GATEWAY", HOST, server.port)

        def call() -> Association:
            return associate(AE("SCU"), remote, [(contexts.VERIFICATION, [EXPLICIT])])

        opened = [await trio.to_thread.run_sync(call) for _ in range(3)]
        with pytest.raises(PacsUnreachableError, match="rejects"):
            await trio.to_thread.run_sync(call)
        for assoc in opened:
            await trio.to_thread.run_sync(release, assoc)


async def test_silent_connections_have_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DICOM_ASSOCIATIONS", 1)
    async with serving(Scripted()) as server:
        silent = [await trio.open_tcp_stream(HOST, server.port) for _ in range(2)]
        async with await trio.open_tcp_stream(HOST, server.port) as third:
            with trio.fail_after(10):
                assert await third.receive_some() == b""
        for stream in silent:
            await stream.aclose()


def test_a_wrong_title_is_told_before_it_listens() -> None:
    with pytest.raises(UsageError, match="AE title"):
        Listener("", Endpoint(HOST, 0), stores=False, handlers=[])
    with pytest.raises(UsageError, match="AE title"):
        Listener("A", Endpoint(HOST, 0), stores=False, handlers=[], allowed_callers=["x" * 17])
