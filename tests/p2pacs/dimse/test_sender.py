import pytest
import trio
from pynetdicom import AE

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse._association import Association, release
from p2pacs.dimse._sender import Sender
from p2pacs.dimse.remote import DimseRemote
from p2pacs.errors import PacsUnreachableError
from tests.components import HOST, free_port, storescp
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, JPEG_2000, MR, instance, series


async def test_associations_open_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Association] = []
    sent = [instance(1), instance(2, sop_class=MR), instance(3), instance(4, syntax=JPEG_2000)]
    backend = Scripted()
    async with serving(backend, stores=True) as server:
        sender = Sender(
            AE("SCU"),
            DimseRemote("GATEWAY", HOST, server.port),
            known=lambda: [(MR, EXPLICIT)],
            opening=opened.append,
        )
        for one in sent:
            assert await trio.to_thread.run_sync(sender.send, one) == 0x0000
        await trio.to_thread.run_sync(sender.close)
    assert backend.stored == sent
    assert len(opened) == 2  # the third pair was not foreseen
    assert not any(assoc.is_established for assoc in opened)


async def test_an_association_that_ended_is_opened_again() -> None:
    opened: list[Association] = []
    async with serving(Scripted(), stores=True) as server:
        remote = DimseRemote("GATEWAY", HOST, server.port)
        sender = Sender(AE("SCU"), remote, known=tuple, opening=opened.append)
        await trio.to_thread.run_sync(sender.send, instance(1))
        await trio.to_thread.run_sync(release, opened[0])
        assert await trio.to_thread.run_sync(sender.send, instance(2)) == 0x0000
        await trio.to_thread.run_sync(sender.close)
    assert len(opened) == 2


def test_nobody_there() -> None:
    sender = Sender(AE("SCU"), DimseRemote("NOBODY", HOST, free_port()), known=tuple)
    with pytest.raises(PacsUnreachableError):
        sender.send(instance())
    sender.close()


@pytest.mark.dcmtk
def test_dcmtk_gets_the_bytes_and_what_it_does_not_accept_is_not_transcoded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with storescp(tmp_path_factory.mktemp("received")) as workstation:
        remote = DimseRemote(workstation.aet, HOST, workstation.port)
        sender = Sender(AE("SCU"), remote, known=lambda: [(CT, JPEG_2000)])
        sent = series(3, size=100_001)
        assert [sender.send(one) for one in sent] == [0x0000] * 3
        assert sender.send(instance(4, syntax=JPEG_2000)) is None
        sender.close()
        files = [EncodedInstance.from_part10(path.read_bytes()) for path in workstation.files()]
    assert sorted(files, key=repr) == sorted(sent, key=repr)
