import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from p2pacs.archive.server import archive
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.backend import Retrieval
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.dimse.server.receiver import storage_receiver
from p2pacs.errors import (
    DiskFullError,
    ForbiddenError,
    NoSourceError,
    PacsDataError,
    PacsRefusedError,
)
from p2pacs.units import Endpoint
from tests.components import HOST, free_port
from tests.odd import ODD_BYTES
from tests.p2pacs.conftest import Filled
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import (
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    MR,
    identifier,
    instance,
    series,
    study,
)


async def test_echo_find_get_store(tmp_path: Path) -> None:
    sent = [*series(5), instance(9, study=2, sop_class=MR)]
    async with archive(tmp_path, "ARCHIVE", Endpoint(HOST, 0)) as pacs:
        scu = client(pacs.port, called="ARCHIVE")
        await scu.echo()
        assert await scu.store(sent) == 6
        query = identifier(StudyInstanceUID="", PatientName="doe*")
        answers = await scu.find(query)
        assert sorted(answer.StudyInstanceUID for answer in answers) == ["1.2.3.1", "1.2.3.2"]
        assert {answer.RetrieveAETitle for answer in answers} == {"ARCHIVE"}
        async with scu.get(study(), classes={CT: [EXPLICIT]}) as inbox:
            assert [one async for one in inbox] == sent[:5]
        query.QueryRetrieveLevel = "SOMETHING"
        with pytest.raises(PacsRefusedError, match="0xA900"):
            await scu.find(query)


@pytest.mark.parametrize("known", [True, False], ids=["syntaxes known", "all proposed"])
async def test_several_transfer_syntaxes_of_one_class_come_as_stored(known: bool) -> None:
    held = [instance(1), instance(2, syntax=JPEG_2000), instance(3, syntax=IMPLICIT)]
    async with serving(Scripted(held)) as server:
        classes = {CT: [IMPLICIT, EXPLICIT, JPEG_2000] if known else []}
        async with client(server.port).get(study(), classes=classes) as inbox:
            assert [one async for one in inbox] == held


async def test_a_large_one_comes_onto_the_disk(tmp_path: Path) -> None:
    held = [instance(1, size=20 << 20), instance(2)]
    async with serving(Scripted(held)) as server:
        scu = client(server.port, folder=tmp_path)
        async with scu.get(study(), classes={CT: [EXPLICIT]}) as inbox:
            large, small = [one async for one in inbox]
    assert isinstance(large, LargeInstance)
    assert large.sop_instance_uid == held[0].sop_instance_uid
    assert large.read(0, large.size) == held[0].data
    assert large.sha256 == hashlib.sha256(held[0].data).digest()
    assert small == held[1]
    assert not list(tmp_path.iterdir())


async def test_single_failures_are_told_after_what_came() -> None:
    held = [instance(1), instance(2, syntax=JPEG_2000), instance(3)]
    async with (
        serving(Scripted(held)) as server,
        client(server.port).get(study(), classes={CT: [EXPLICIT]}) as inbox,
    ):
        assert [await anext(inbox), await anext(inbox)] == [held[0], held[2]]
        with pytest.raises(PacsRefusedError, match=r"0xB000 \(1 instances failed\)"):
            await anext(inbox)


MPEG4 = "1.2.840.10008.1.2.4.102"
IMAGES = tuple(f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("1", "1.1", "2", "4", "6.1", "7"))
VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.4.1"
ODD = [f"1.2.3.{number}" for number in range(20)]
"""Transfer syntaxes that nothing is stored in, to fill an association with."""


class Asked(Scripted):
    """Counts the retrievals."""

    def calls(self) -> int:
        return len([operation for operation, *_ in self.asked if operation == "C-GET"])


async def test_more_pairs_than_an_association_has_contexts_for() -> None:
    """Six image classes and a video in MPEG-4, of which no syntax is known: none is lost."""
    held = [instance(number, sop_class=name) for number, name in enumerate(IMAGES, 1)]
    held.append(instance(7, sop_class=VIDEO, syntax=MPEG4))
    backend = Asked(held)
    async with (
        serving(backend) as server,
        client(server.port).get(study(), classes=dict.fromkeys([*IMAGES, VIDEO], ())) as inbox,
    ):
        assert [one async for one in inbox] == held
    assert backend.calls() == 3


async def test_what_is_sent_twice_in_one_association_comes_twice() -> None:
    """Not so over several: what the first brought is passed over in the second."""
    held = [instance(1), instance(1), instance(2, sop_class=VIDEO, syntax=MPEG4)]
    backend = Asked(held)
    classes = {name: [EXPLICIT, IMPLICIT, *ODD] for name in IMAGES} | {VIDEO: ()}
    async with serving(backend) as server, client(server.port).get(study(), classes=classes) as box:
        assert [one async for one in box] == held
    assert backend.calls() == 2


async def test_what_comes_by_no_association_is_told_once_all_was_tried() -> None:
    held = [instance(1), instance(2, syntax="1.2.3.99"), instance(3, sop_class=VIDEO, syntax=MPEG4)]
    backend = Asked(held)
    async with (
        serving(backend) as server,
        client(server.port).get(study(), classes=dict.fromkeys([*IMAGES, VIDEO], ())) as inbox,
    ):
        assert [await anext(inbox), await anext(inbox)] == [held[0], held[2]]
        with pytest.raises(PacsRefusedError, match=r"0xB000 \(1 instances failed\)"):
            await anext(inbox)
    assert backend.calls() == 3


async def test_refusals_name_the_status_and_what_to_do() -> None:
    backend = Scripted(series(1))
    async with serving(backend, stores=True) as server:
        scu = client(server.port)
        backend.error = ForbiddenError("not yours")
        with pytest.raises(PacsRefusedError, match=r"0x0124.*register our AE title"):
            await scu.find(study())
        backend.error = DiskFullError("make room")
        with pytest.raises(PacsRefusedError, match="0xA700"):
            await scu.store(series(1))
        backend.error = NoSourceError("nobody has it")
        async with scu.get(study(), classes={CT: [EXPLICIT]}) as inbox:
            with pytest.raises(PacsRefusedError, match="0xA702"):
                await anext(inbox)


async def test_a_service_that_is_not_offered() -> None:
    entity = AE("ECHO")  # offers C-ECHO alone
    entity.add_supported_context(Verification)
    server = entity.start_server((HOST, 0), block=False)
    try:
        with pytest.raises(PacsRefusedError, match="does not offer Study Root"):
            await client(server.server_address[1]).find(study())
    finally:
        await trio.to_thread.run_sync(entity.shutdown)


async def test_what_the_peer_does_not_accept_is_not_sent() -> None:
    async with serving(Scripted()) as server:  # stores nothing
        with pytest.raises(PacsRefusedError, match="does not accept CT Image Storage in Explicit"):
            await client(server.port).store(series(1))


async def test_too_many_answers() -> None:
    backend = Scripted()
    backend.answers = [study(number) for number in (1, 2, 3)]
    async with serving(backend) as server:
        with pytest.raises(PacsDataError, match="over 2 answers: narrow"):
            await client(server.port, tuning=DimseTuning(answers=2)).find(study())


class Empty(Scripted):
    """Sends a data set without a byte in it as its second instance."""

    def retrieve(self, *_args: object, **_options: object) -> Retrieval:
        def instances() -> Iterator[EncodedInstance]:
            yield instance()
            yield EncodedInstance(CT, "1.2.3.4", EXPLICIT, b"")

        return Retrieval(total=lambda: 2, instances=instances())


async def test_an_empty_instance_fails_alone() -> None:
    async with (
        serving(Empty()) as server,
        client(server.port).get(study(), classes={CT: [EXPLICIT]}) as inbox,
    ):
        assert await anext(inbox) == instance()
        with pytest.raises(PacsRefusedError, match="1 instances failed"):
            await anext(inbox)


async def test_move_into_our_own_receiver(tmp_path: Path) -> None:
    port = free_port()
    destinations = {"US": DimseRemote("US", HOST, port)}
    async with (
        archive(tmp_path, "ARCHIVE", Endpoint(HOST, 0), destinations) as pacs,
        storage_receiver("US", Endpoint(HOST, port)) as receiver,
    ):
        scu = client(pacs.port, called="ARCHIVE")
        sent = [*series(3), *series(2, study=2)]
        await scu.store(sent)
        async with (
            scu.move(study(1), receiver) as first,
            scu.move(study(2), receiver) as second,  # at once, each gets its own
        ):
            assert [one async for one in second] == sent[3:]
            assert [one async for one in first] == sent[:3]
        destinations.clear()
        async with scu.move(study(1), receiver) as inbox:
            with pytest.raises(PacsRefusedError, match=r"0xA801.*destination"):
                await anext(inbox)


@pytest.mark.orthanc
class TestOrthanc:
    """What comes from a real Orthanc, over C-GET and over C-MOVE.

    Orthanc writes data sets again when it sends them over DIMSE: sequences come with
    other (equivalent) delimiters. It must never transcode for us, and plain data
    sets must come byte for byte.
    """

    def scu(self, filled: Filled) -> DimseClient:
        return DimseClient(DimseRemote("ORTHANC", HOST, filled.orthanc.dicom_port), "P2PACS")

    def check(self, filled: Filled, found: list[EncodedInstance]) -> int:
        for one in found:
            stored = filled.stored[one.sop_instance_uid]
            assert one.transfer_syntax_uid == stored.transfer_syntax_uid
            assert one.sop_class_uid == stored.sop_class_uid
        return sum(one == filled.stored[one.sop_instance_uid] for one in found)

    @ODD_BYTES
    @pytest.mark.parametrize("known", [True, False], ids=["syntaxes known", "all proposed"])
    async def test_get_never_transcodes(self, filled: Filled, known: bool) -> None:
        exact, syntaxes = 0, set()
        for uid, instances in filled.studies.items():
            classes = {name: found if known else [] for name, found in filled.classes(uid).items()}
            wanted = identifier(StudyInstanceUID=uid)
            async with self.scu(filled).get(wanted, classes=classes) as inbox:
                found = [one async for one in inbox]
            assert len(found) == len(instances)
            exact += self.check(filled, found)
            syntaxes |= {one.transfer_syntax_uid for one in found}
        assert exact >= 18
        assert len(syntaxes) >= 8

    async def test_move_never_transcodes(self, filled: Filled) -> None:
        exact = 0
        endpoint = Endpoint(HOST, filled.receiver_port)
        async with storage_receiver(filled.receiver_aet, endpoint) as receiver:
            for uid, instances in filled.studies.items():
                wanted = identifier(StudyInstanceUID=uid)
                async with self.scu(filled).move(wanted, receiver) as inbox:
                    found = [one async for one in inbox]
                assert len(found) == len(instances)
                exact += self.check(filled, found)
        assert exact >= 18

    async def test_find(self, filled: Filled) -> None:
        await self.scu(filled).echo()
        query = identifier(StudyInstanceUID="")
        found = await self.scu(filled).find(query)
        assert {answer.StudyInstanceUID for answer in found} >= set(filled.studies)

    async def test_store_is_exact(self, filled: Filled) -> None:
        sent = series(3, study=77)
        assert await self.scu(filled).store(sent) == 3
        async with self.scu(filled).get(study(77), classes={CT: [EXPLICIT]}) as inbox:
            assert sorted([one async for one in inbox], key=repr) == sorted(sent, key=repr)

    async def test_an_unknown_study_is_refused(self, filled: Filled) -> None:
        async with self.scu(filled).get(study(99), classes={CT: []}) as inbox:
            with pytest.raises(PacsRefusedError, match="0xC000"):
                await anext(inbox)
