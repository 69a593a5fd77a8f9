"""C-MOVE and C-GET of receivers that do not accept what is stored."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
import structlog
import trio
from attrs import evolve
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.contexts import Pair
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.delivery.conversion import Conversion, Converting, make_ready
from p2pacs.errors import TranscodingError, WorkerError
from p2pacs.transcode.transcoding import transcode
from tests.components import HOST, storescp
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import (
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG_LOSSLESS,
    MR,
    instance,
    series,
    study,
)
from tests.p2pacs.dimse.server.test_retrieve import GET, ask, counts, move
from tests.p2pacs.transcode.samples import encapsulated, grey, lossless, noise

NEEDED = Converting.WHEN_NEEDED
MPEG = "1.2.840.10008.1.2.4.102"


def compressed(count: int) -> list[EncodedInstance]:
    """A CT series in JPEG Lossless."""
    made = []
    for number in range(1, count + 1):
        dataset = grey(
            SOPClassUID=CT,
            SOPInstanceUID=f"1.2.3.1.1.{number}",
            StudyInstanceUID="1.2.3.1",
            SeriesInstanceUID="1.2.3.1.1",
        )
        coded = lossless(noise(12, seed=number), 12)
        made.append(encapsulated(dataset, JPEG_LOSSLESS, [coded]))
    return made


def by_uid(instances: Collection[EncodedInstance]) -> dict[str, EncodedInstance]:
    return {one.sop_instance_uid: one for one in instances}


def test_what_is_accepted_is_not_converted() -> None:
    asked: list[Pair] = []

    def accepted(pair: Pair) -> list[Pair]:
        asked.append(pair)
        return [(CT, EXPLICIT), (CT, IMPLICIT)]

    def convert(one: EncodedInstance, syntax: str) -> EncodedInstance:
        return evolve(one, transfer_syntax_uid=syntax, data=b"converted")

    stored = instance()
    assert make_ready(stored, convert, accepted) is stored
    other = evolve(stored, transfer_syntax_uid=JPEG_LOSSLESS)
    ready = make_ready(other, convert, accepted)
    assert (ready.transfer_syntax_uid, ready.data) == (EXPLICIT, b"converted")
    assert asked == [(CT, EXPLICIT), (CT, JPEG_LOSSLESS)]
    with pytest.raises(TranscodingError, match="JPEGLosslessSV1 not accepted"):
        make_ready(other, convert, lambda _: [])


@pytest.mark.parametrize(
    ("converting", "accepted", "allowed"),
    [
        (Converting.NEVER, [IMPLICIT], False),
        (Converting.IMPLICIT_ONLY, [IMPLICIT], True),
        (Converting.IMPLICIT_ONLY, [IMPLICIT, EXPLICIT], False),
        (Converting.IMPLICIT_ONLY, [], False),
        (NEEDED, [], True),
    ],
)
def test_who_gets_converted_what_it_does_not_accept(
    converting: Converting, accepted: list[str], allowed: bool
) -> None:
    pairs = [(CT, syntax) for syntax in accepted]
    assert converting.allows(CT, [*pairs, (MR, JPEG_LOSSLESS)]) is allowed


@pytest.mark.dcmtk
@pytest.mark.parametrize("converting", [Converting.IMPLICIT_ONLY, NEEDED])
async def test_dcmtk_that_takes_implicit_vr_alone(tmp_path: Path, converting: Converting) -> None:
    sent = compressed(3)
    backend = Scripted(sent)
    conversion = Conversion(transcode, {"OLD": converting})
    with (
        storescp(tmp_path, "+xi", aet="OLD") as old,
        structlog.testing.capture_logs() as logs,
    ):
        destinations = {"OLD": DimseRemote("OLD", HOST, old.port)}
        async with serving(backend, destinations, conversion=conversion) as server:
            answers = await ask(server.port, move("OLD"))
        files = [EncodedInstance.from_part10(path.read_bytes()) for path in old.files()]
    assert by_uid(files) == by_uid([transcode(one, IMPLICIT) for one in sent])
    assert counts(answers[-1][0]) == (0x0000, 3, 0, 0)
    how = "JPEGLosslessSV1 to ImplicitVRLittleEndian"
    assert answers[-1][0].ErrorComment == f"converted: {how}"
    over = next(line for line in logs if line["event"] == "retrieval over")
    assert over["converted"] == {how: 3}


@pytest.mark.dcmtk
async def test_what_is_accepted_as_stored_comes_so(tmp_path: Path) -> None:
    sent = [*compressed(2), *series(2, study=2)]
    backend = Scripted(sent)
    with storescp(tmp_path, "+xa", aet="NEW") as new:
        destinations = {"NEW": DimseRemote("NEW", HOST, new.port)}
        conversion = Conversion(transcode, {"NEW": NEEDED})
        async with serving(backend, destinations, conversion=conversion) as server:
            answers = await ask(server.port, move("NEW"))
        files = [EncodedInstance.from_part10(path.read_bytes()) for path in new.files()]
    assert by_uid(files) == by_uid(sent)
    assert "ErrorComment" not in answers[-1][0]


@pytest.mark.dcmtk
async def test_who_takes_more_than_implicit_vr_has_to_be_set(tmp_path: Path) -> None:
    backend = Scripted(compressed(2))
    with storescp(tmp_path, aet="NATIVE") as native:
        destinations = {"NATIVE": DimseRemote("NATIVE", HOST, native.port)}
        conversion = Conversion(transcode, {"NATIVE": Converting.IMPLICIT_ONLY})
        async with serving(backend, destinations, conversion=conversion) as server:
            answers = await ask(server.port, move("NATIVE"))
    assert answers[-1][0].ErrorComment == "JPEGLosslessSV1 not accepted: CTImageStorage"


@pytest.mark.dcmtk
async def test_nothing_is_converted_for_others(tmp_path: Path) -> None:
    backend = Scripted(compressed(2))
    with storescp(tmp_path, "+xi", aet="OTHER") as other:
        destinations = {"OTHER": DimseRemote("OTHER", HOST, other.port)}
        conversion = Conversion(transcode, {"OLD": NEEDED}, clients=NEEDED)
        async with serving(backend, destinations, conversion=conversion) as server:
            answers = await ask(server.port, move("OTHER"))
    assert counts(answers[-1][0]) == (0xA702, 0, 2, 0)
    assert answers[-1][0].ErrorComment == "JPEGLosslessSV1 not accepted: CTImageStorage"


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("error", "comment"),
    [
        (TranscodingError("JPEGLosslessSV1: it is odd"), "JPEGLosslessSV1: it is odd"),
        (WorkerError("a worker process ended (SIGSEGV)"), "a worker process ended (SIGSEGV)"),
    ],
)
async def test_what_cannot_be_converted_fails_alone(
    tmp_path: Path, error: TranscodingError | WorkerError, comment: str
) -> None:
    sent = compressed(3)

    def convert(one: EncodedInstance, syntax: str) -> EncodedInstance:
        if one == sent[1]:
            raise error
        return transcode(one, syntax)

    backend = Scripted([*sent, instance(9, syntax=MPEG)])
    with storescp(tmp_path, "+xi", aet="OLD") as old:
        destinations = {"OLD": DimseRemote("OLD", HOST, old.port)}
        conversion = Conversion(convert, {"OLD": NEEDED})
        async with serving(backend, destinations, conversion=conversion) as server:
            answers = await ask(server.port, move("OLD"))
        assert len(old.files()) == 2
    status, failed = answers[-1]
    assert counts(status) == (0xB000, 2, 2, 0)
    assert status.ErrorComment.startswith(comment)
    assert failed is not None
    assert list(failed.FailedSOPInstanceUIDList) == [sent[1].sop_instance_uid, "1.2.3.1.1.9"]
    assert backend.arrived == 2


@pytest.mark.parametrize("clients", list(Converting))
async def test_a_client_that_takes_implicit_vr_alone(clients: Converting) -> None:
    sent = compressed(2)
    got: list[tuple[str, bytes]] = []

    def keep(event: evt.Event) -> int:
        got.append((event.context.transfer_syntax, event.encoded_dataset(include_meta=False)))
        return 0x0000

    def fetch(port: int) -> tuple[int, str]:
        entity = AE("WORKSTATION")
        entity.add_requested_context(GET)
        entity.add_requested_context(UID(CT), IMPLICIT)
        assoc = entity.associate(
            HOST,
            port,
            ae_title="GATEWAY",
            ext_neg=[build_role(UID(CT), scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, keep)],
        )
        answers = list(assoc.send_c_get(study(), contexts.GET["STUDY"]))
        assoc.release()
        return answers[-1][0].Status, answers[-1][0].get("ErrorComment", "")

    conversion = Conversion(transcode, clients=clients)
    async with serving(Scripted(sent), conversion=conversion) as server:
        status, comment = await trio.to_thread.run_sync(fetch, server.port)
    if clients is not Converting.NEVER:
        assert got == [(IMPLICIT, transcode(one, IMPLICIT).data) for one in sent]
        assert (status, comment) == (
            0x0000,
            "converted: JPEGLosslessSV1 to ImplicitVRLittleEndian",
        )
    else:
        assert got == []
        assert status == 0xA702
