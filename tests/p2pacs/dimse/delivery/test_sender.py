from pathlib import Path

import pytest
import trio
from pynetdicom import AE, evt

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.association import Association, release
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.delivery.sender import InstanceSender
from p2pacs.dimse.server.listener import Listener
from p2pacs.errors import PacsBusyError, PacsUnreachableError
from tests.components import HOST, free_port, storescp
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, IMPLICIT, JPEG_2000, MR, instance, series


async def test_associations_open_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Association] = []
    sent = [instance(1), instance(2, sop_class=MR), instance(3), instance(4, syntax=JPEG_2000)]
    backend = Scripted()
    async with serving(backend, stores=True) as server:
        sender = InstanceSender(
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
        sender = InstanceSender(AE("SCU"), remote, known=tuple, opening=opened.append)
        await trio.to_thread.run_sync(sender.send, instance(1))
        await trio.to_thread.run_sync(release, opened[0])
        assert await trio.to_thread.run_sync(sender.send, instance(2)) == 0x0000
        await trio.to_thread.run_sync(sender.close)
    assert len(opened) == 2


def test_nobody_there() -> None:
    sender = InstanceSender(AE("SCU"), DimseRemote("NOBODY", HOST, free_port()), known=tuple)
    with pytest.raises(PacsUnreachableError):
        sender.send(instance())
    sender.close()


@pytest.mark.parametrize("refusals", [2, 3])
async def test_a_destination_that_is_busy_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """PS3.8 9.3.4: rejected-transient; the pauses are bounded, so it may fail at the last."""
    left = [refusals]
    requested = Listener._requested

    def busy(self: Listener, event: evt.Event) -> None:
        if left[0]:
            left[0] -= 1
            event.assoc.acse.send_reject(0x02, 0x03, 0x01)
            event.assoc.is_rejected = True
            event.assoc.kill()
        else:
            requested(self, event)

    monkeypatch.setattr(Listener, "_requested", busy)
    async with serving(Scripted(), stores=True) as server:
        remote = DimseRemote("GATEWAY", HOST, server.port)
        sender = InstanceSender(AE("SCU"), remote, known=tuple, tuning=DimseTuning(busy=(0, 0)))
        if refusals == 2:
            assert await trio.to_thread.run_sync(sender.send, instance()) == 0x0000
        else:
            with pytest.raises(PacsBusyError, match="busy"):
                await trio.to_thread.run_sync(sender.send, instance())
        await trio.to_thread.run_sync(sender.close)


@pytest.mark.dcmtk
def test_what_is_not_accepted_is_asked_for_once(
    tmp_path: Path,
) -> None:
    opened: list[Association] = []
    with storescp(tmp_path) as workstation:
        remote = DimseRemote(workstation.aet, HOST, workstation.port)
        sender = InstanceSender(AE("SCU"), remote, known=tuple, opening=opened.append)
        sent = [instance(number, syntax=JPEG_2000) for number in range(1, 6)]
        assert [sender.send(one) for one in sent] == [None] * 5
        assert sender.send(instance(6)) == 0x0000
        sender.close()
    assert len(opened) == 2


@pytest.mark.dcmtk
def test_what_is_accepted_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    opened: list[Association] = []
    with storescp(tmp_path, "+xi") as workstation:
        remote = DimseRemote(workstation.aet, HOST, workstation.port)
        sender = InstanceSender(
            AE("SCU"), remote, known=tuple, opening=opened.append, targets=(EXPLICIT, IMPLICIT)
        )
        assert sender.accepted((CT, JPEG_2000)) == {(CT, IMPLICIT)}
        assert sender.accepted((CT, JPEG_2000)) == {(CT, IMPLICIT)}
        assert len(opened) == 1
        assert sender.accepted(("1.2.3", JPEG_2000)) == {(CT, IMPLICIT)}  # the others, still
        assert len(opened) == 2
        sender.close()


@pytest.mark.dcmtk
def test_a_destination_that_accepts_nothing_is_asked_once(tmp_path: Path) -> None:
    opened: list[Association] = []
    with storescp(tmp_path, "+xi") as workstation:
        remote = DimseRemote(workstation.aet, HOST, workstation.port)
        sender = InstanceSender(
            AE("SCU"), remote, known=tuple, opening=opened.append, targets=(EXPLICIT, IMPLICIT)
        )
        assert sender.accepted(("1.2.3", JPEG_2000)) == ()
        assert sender.accepted(("1.2.3", JPEG_2000)) == ()
        sender.close()
    assert len(opened) == 1


@pytest.mark.dcmtk
def test_dcmtk_gets_the_bytes_and_what_it_does_not_accept_is_not_transcoded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with storescp(tmp_path_factory.mktemp("received")) as workstation:
        remote = DimseRemote(workstation.aet, HOST, workstation.port)
        sender = InstanceSender(AE("SCU"), remote, known=lambda: [(CT, JPEG_2000)])
        sent = series(3, size=100_001)
        assert [sender.send(one) for one in sent] == [0x0000] * 3
        assert sender.send(instance(4, syntax=JPEG_2000)) is None
        sender.close()
        files = [EncodedInstance.from_part10(path.read_bytes()) for path in workstation.files()]
    assert sorted(files, key=repr) == sorted(sent, key=repr)
