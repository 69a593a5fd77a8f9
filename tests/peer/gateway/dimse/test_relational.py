"""Relational retrieval (PS3.4 C.4.2.2.2): only the unique key of its own level is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from p2pacs.catalogue.records import StudyRecord
from p2pacs.dimse.association.contexts import FIND, GET, MOVE
from p2pacs.ids import StudyId
from p2pacs.units import Endpoint
from peer.app import Peer
from peer.gateway.dimse.gateway import MANY
from tests.components import storescp
from tests.p2pacs.study import samples
from tests.peer.gateway.dimse.test_gateway import AET, query, received, served
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid
from tests.peer.world import World, described, instances

RELATIONAL = {sop_class: b"\1" for classes in (FIND, GET, MOVE) for sop_class in classes.values()}
FAILED, NOT_FOUND = 0xA702, 0xA900


class Viewer:
    """A workstation that asks for relational queries and retrieval, unless told not to."""

    def __init__(self, where: Endpoint, *, relational: bool = True) -> None:
        self._where = where
        self._asked = RELATIONAL if relational else {}
        self.got: set[str] = set()
        self.agreed: dict[str, bytes] = {}

    async def find(self, identifier: Dataset, root: str = "STUDY") -> set[str]:
        """The SOP Instance UIDs of what is found."""
        answers: list[Any] = await self._call("send_c_find", identifier, FIND[root])
        assert answers[-1][0].Status == 0
        return {found.SOPInstanceUID for _, found in answers if found}

    async def get(self, identifier: Dataset, root: str = "STUDY") -> int:
        """The status; `got` what came."""
        self.got.clear()
        answers: list[Any] = await self._call("send_c_get", identifier, GET[root])
        status: int = answers[-1][0].Status
        return status

    async def move(self, to: str, identifier: Dataset, root: str = "STUDY") -> int:
        """The status."""
        answers: list[Any] = await self._call("send_c_move", identifier, to, MOVE[root])
        status: int = answers[-1][0].Status
        return status

    async def _call(self, name: str, *arguments: Any) -> list[Any]:
        with trio.fail_after(LIMIT):
            return await trio.to_thread.run_sync(partial(self._work, name, arguments))

    def _work(self, name: str, arguments: tuple[Any, ...]) -> list[Any]:
        ae = AE("VIEWER")
        for classes in (FIND, GET, MOVE):
            for sop_class in classes.values():
                ae.add_requested_context(sop_class)
        ae.add_requested_context(samples.CT, samples.EXPLICIT)
        items: list[Any] = [build_role(samples.CT, scp_role=True)]
        for sop_class, information in self._asked.items():
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid, item.service_class_application_information = sop_class, information
            items.append(item)

        def keep(event: evt.Event) -> int:
            self.got.add(str(event.request.AffectedSOPInstanceUID))
            return 0

        assoc = ae.associate(
            self._where.host,
            self._where.port,
            ae_title=AET,
            ext_neg=items,
            evt_handlers=[(evt.EVT_C_STORE, keep)],
        )
        assert assoc.is_established
        self.agreed = assoc.acceptor.sop_class_extended
        answers = list(getattr(assoc, name)(*arguments))
        assoc.release()
        return answers


async def test_images_of_a_patient_are_had_by_their_uids_alone(tmp_path: Path) -> None:
    sent = instances(5)
    wanted = [one.sop_instance_uid for one in sent[1:3]]
    with storescp(tmp_path / "station") as station:
        there = {"STATION": f"127.0.0.1:{station.port}"}
        async with served(tmp_path, sent, destinations=there) as (world, _, where):
            world.broker.described = described(5)
            viewer = Viewer(where)
            images = query("IMAGE", SOPInstanceUID=wanted)
            assert await viewer.find(images) == set(wanted)
            assert viewer.agreed == RELATIONAL
            assert await viewer.get(images) == 0
            assert viewer.got == set(wanted)
            assert await viewer.move("STATION", images) == 0
            assert received(tmp_path / "station") == by_uid(sent[1:3])
            one = query("IMAGE", SOPInstanceUID=wanted[0], PatientID="P1")
            assert await viewer.get(one, "PATIENT") == 0
            assert viewer.got == {wanted[0]}
            of_nobody = query("IMAGE", SOPInstanceUID=wanted[0], PatientID="P2")
            assert await viewer.get(of_nobody, "PATIENT") == NOT_FOUND


async def test_series_and_studies_without_the_levels_above(tmp_path: Path) -> None:
    sent = instances(3)
    async with served(tmp_path, sent) as (world, _, where):
        viewer = Viewer(where)
        uid = world.broker.uid
        assert await viewer.get(query("SERIES", SeriesInstanceUID=f"{uid}.1")) == 0
        assert viewer.got == set(by_uid(sent))
        assert await viewer.get(query("STUDY", StudyInstanceUID=uid), "PATIENT") == 0
        assert viewer.got == set(by_uid(sent))
        assert await viewer.get(query("SERIES", SeriesInstanceUID="1.9")) == NOT_FOUND
        assert not viewer.got


@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
async def test_who_did_not_agree_on_it_is_refused(tmp_path: Path, level: str) -> None:
    async with served(tmp_path, instances(1)) as (world, _, where):
        uid = world.broker.uid
        keys = {"SERIES": {"SeriesInstanceUID": f"{uid}.1"}, "IMAGE": {"SOPInstanceUID": "1.2"}}
        viewer = Viewer(where, relational=False)
        assert await viewer.get(query(level, **keys[level])) == NOT_FOUND
        assert viewer.agreed == {}


def _others(world: World, peer: Peer, count: int) -> None:
    """Further studies in the catalogue."""
    one = world.broker.record()
    numbered: Callable[[int], StudyRecord] = lambda n: evolve(  # noqa: E731
        one, study=StudyId(n.to_bytes(16)), uid=f"1.9.{n}", version=0
    )
    peer.index.upsert(map(numbered, range(1, count + 1)))


async def test_among_many_studies_one_that_was_listed_is_known(tmp_path: Path) -> None:
    sent = instances(2)
    async with served(tmp_path, sent) as (world, peer, where):
        world.broker.described = described(2)
        _others(world, peer, MANY + 1)
        viewer = Viewer(where)
        image = query("IMAGE", SOPInstanceUID=sent[1].sop_instance_uid)
        assert await viewer.get(image) == FAILED, "nobody asks the PACS for all of them"
        assert not viewer.got
        series = query("IMAGE", SeriesInstanceUID=f"{world.broker.uid}.1", SOPInstanceUID="")
        series.StudyInstanceUID = world.broker.uid
        assert await viewer.find(series) == set(by_uid(sent))
        assert await viewer.find(image) == {sent[1].sop_instance_uid}
        assert await viewer.get(image) == 0
        assert viewer.got == {sent[1].sop_instance_uid}


async def test_a_series_that_the_pacs_does_not_list_is_had_by_its_study(tmp_path: Path) -> None:
    sent = instances(2)
    async with served(tmp_path, sent) as (world, peer, where):
        world.broker.described = described(2)
        peer.index.upsert([evolve(world.broker.record(), series=())])
        viewer = Viewer(where, relational=False)
        of = {"StudyInstanceUID": world.broker.uid, "SeriesInstanceUID": f"{world.broker.uid}.1"}
        assert await viewer.find(query("IMAGE", **of, SOPInstanceUID="")) == set(by_uid(sent))
        assert await viewer.get(query("SERIES", **of)) == 0
        assert viewer.got == set(by_uid(sent))
