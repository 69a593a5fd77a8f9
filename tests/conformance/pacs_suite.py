"""What every PACS adapter must do, on every PACS: subclasses give the fixture ``pacs``."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
import trio
from attrs import evolve, frozen
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from broker.pacs.adapter import DateSpan, PacsAdapter
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.catalogue.listing import decode_listing, encode_listing
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, load, number, text, texts
from p2pacs.dataset.vocabulary import INSTANCE_TAGS, SERIES_TAGS, STUDY_LEVEL_TAGS, tag
from p2pacs.errors import PacsError, StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description, Detail
from p2pacs.study.coding import code

from .instances import content, make, real, recode, study_of


@frozen
class Pacs:
    """A PACS under test: its adapter, and how it is filled."""

    adapter: PacsAdapter
    store: Callable[[Iterable[EncodedInstance]], Awaitable[None]]
    remove: Callable[[str], Awaitable[None]] | None = None
    """Take a study out of the PACS."""
    rewrites: bool = False
    """It writes lengths of sequences and padding anew when it sends: Orthanc over DIMSE."""
    numbers: bool = False
    """It answers with numbers where DICOM has texts: DICOMweb's JSON."""


CT = "1.2.826.0.1.1"
MR = "1.2.826.0.1.2"
NOWHERE = "1.2.826.0.1.99"
MANY = "1 1.1 1.2 1.3 2 2.1 3.1 4 4.1 6.1 7 7.2 12.1 20 128"
"""What SOP Classes of images end with: more than an association has room for."""


def ct(count: int = 5, series: int = 1) -> list[EncodedInstance]:
    return [make(CT, series, n) for n in range(1, count + 1)]


async def fetch(
    pacs: Pacs, uid: str, wanted: list[str] | None = None
) -> dict[str, EncodedInstance]:
    study = await pacs.adapter.describe(uid)
    async with pacs.adapter.retrieve(study, wanted) as stream:
        taken = [instance async for instance in stream]
    found = {instance.sop_instance_uid: instance for instance in taken}
    assert len(found) == len(taken), "an instance came twice"
    return found


def by_uid(instances: Iterable[EncodedInstance]) -> dict[str, EncodedInstance]:
    return {instance.sop_instance_uid: instance for instance in instances}


class PacsSuite:
    """Every test gets a PACS that is empty."""

    async def test_it_answers(self, pacs: Pacs) -> None:
        await pacs.adapter.check()
        assert pacs.adapter.name

    async def test_studies_are_enumerated_with_what_a_catalogue_needs(self, pacs: Pacs) -> None:
        await pacs.store([*ct(3), make(MR, modality="MR", date="20231224", name="Doe^Jane")])
        found = {text(s, "StudyInstanceUID"): s async for s in pacs.adapter.studies(DateSpan())}
        assert set(found) == {CT, MR}
        assert text(found[CT], "PatientName") == "Müller^Jörg"
        assert text(found[CT], "StudyDescription") == "Schädel"
        assert text(found[CT], "PatientID") == f"P{CT}"
        assert text(found[MR], "StudyDate") == "20231224"
        assert number(found[CT], "NumberOfStudyRelatedInstances") == 3

    async def test_what_it_is_given_it_keeps_as_it_is(self, pacs: Pacs) -> None:
        """Studies that hospitals send come home so; the same again changes nothing."""
        given = [*ct(3), make(CT, 2, modality="MR"), recode(make(CT, 3), ImplicitVRLittleEndian)]
        await pacs.adapter.store(given)
        assert await fetch(pacs, CT) == by_uid(given)
        await pacs.adapter.store(given[:1])
        assert await fetch(pacs, CT) == by_uid(given)

    async def test_a_span_of_dates_is_kept(self, pacs: Pacs) -> None:
        await pacs.store([make(CT), make(MR, modality="MR", date="20231224")])
        spans = {DateSpan(first=date(2024, 1, 1)): [CT], DateSpan(last=date(2023, 12, 31)): [MR]}
        for span, expected in spans.items():
            found = [text(s, "StudyInstanceUID") async for s in pacs.adapter.studies(span)]
            assert found == expected

    async def test_a_study_is_described_down_to_its_instances(self, pacs: Pacs) -> None:
        await pacs.store([*ct(3), *ct(2, series=2)])
        study = await pacs.adapter.describe(CT)
        assert study.uid == CT
        assert text(study.attributes, "PatientName") == "Müller^Jörg"
        assert {series.uid: len(series.instances) for series in study.series} == {
            f"{CT}.1": 3,
            f"{CT}.2": 2,
        }
        assert {text(series.attributes, "Modality") for series in study.series} == {"CT"}
        instance = study.instances[f"{CT}.2.2"]
        assert number(instance, "InstanceNumber") == 2
        assert text(instance, "SOPClassUID") == ct()[0].sop_class_uid

    async def test_a_study_is_described_without_its_instances(self, pacs: Pacs) -> None:
        await pacs.store(ct(3))
        study = await pacs.adapter.describe(CT, Detail.SERIES)
        assert not study.instances
        (series,) = study.series
        assert number(series.attributes, "NumberOfSeriesRelatedInstances") == 3
        assert study.count == 3

    async def test_a_study_is_retrieved_without_listing_it_first(self, pacs: Pacs) -> None:
        stored = [*ct(3), make(CT, 2, modality="MR")]
        await pacs.store(stored)
        study = await pacs.adapter.describe(CT, Detail.SERIES)
        async with pacs.adapter.retrieve(study) as stream:
            assert by_uid([one async for one in stream]) == by_uid(stored)

    async def test_uids_alone_are_enough_to_retrieve_some(self, pacs: Pacs) -> None:
        await pacs.store(ct(3))
        study = await pacs.adapter.describe(CT, Detail.UIDS)
        async with pacs.adapter.retrieve(study, [f"{CT}.1.2"]) as stream:
            assert by_uid([one async for one in stream]) == by_uid([make(CT, 1, 2)])

    async def test_a_study_that_is_not_there(self, pacs: Pacs) -> None:
        await pacs.store(ct(1))
        with pytest.raises(StudyNotFoundError) as caught:
            await pacs.adapter.describe(NOWHERE)
        assert NOWHERE not in str(caught.value)

    async def test_a_study_is_retrieved_byte_for_byte(self, pacs: Pacs) -> None:
        stored = [*ct(5), *ct(2, series=2)]
        await pacs.store([*stored, make(MR)])
        assert await fetch(pacs, CT) == by_uid(stored)

    async def test_every_transfer_syntax_comes_as_it_is_stored(self, pacs: Pacs) -> None:
        stored = real()
        await pacs.store(stored)
        for uid in {study_of(instance) for instance in stored}:
            expected = by_uid(one for one in stored if study_of(one) == uid)
            found = await fetch(pacs, uid)
            if pacs.rewrites:
                assert {u: content(i) for u, i in found.items()} == {
                    u: content(i) for u, i in expected.items()
                }
            else:
                assert found == expected

    async def test_several_transfer_syntaxes_in_one_study(self, pacs: Pacs) -> None:
        stored = [make(CT, 1, 1), *mixed()]
        await pacs.store(stored)
        assert await fetch(pacs, CT) == by_uid(stored)

    @pytest.mark.parametrize("listed", [True, False], ids=["listed", "whole"])
    async def test_more_classes_than_an_association_has_contexts_for(
        self, pacs: Pacs, listed: bool
    ) -> None:
        """A class of which only some syntaxes were proposed would be transcoded in silence."""
        stored = [
            recode(make(CT, 1, number, SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{kind}"), RLELossless)
            for number, kind in enumerate(MANY.split(), 1)
        ]
        await pacs.store(stored)
        study = await pacs.adapter.describe(CT, Detail.INSTANCES if listed else Detail.SERIES)
        async with pacs.adapter.retrieve(study) as stream:
            assert by_uid([one async for one in stream]) == by_uid(stored)

    async def test_some_instances_are_retrieved_alone(self, pacs: Pacs) -> None:
        stored = by_uid([*ct(4), *ct(2, series=2)])
        await pacs.store(stored.values())
        wanted = [f"{CT}.1.2", f"{CT}.1.4", f"{CT}.2.1", f"{CT}.2.2"]
        assert await fetch(pacs, CT, wanted) == {uid: stored[uid] for uid in wanted}

    async def test_nothing_wanted_is_nothing_asked_for(self, pacs: Pacs) -> None:
        await pacs.store(ct(2))
        assert await fetch(pacs, CT, []) == {}

    async def test_instances_that_arrive_later_are_described(self, pacs: Pacs) -> None:
        await pacs.store(ct(2))
        assert len((await pacs.adapter.describe(CT)).instances) == 2
        await pacs.store(ct(4))
        assert len((await pacs.adapter.describe(CT)).instances) == 4

    async def test_a_study_of_two_patients_is_one_study_of_both(self, pacs: Pacs) -> None:
        stored = [*ct(2), make(CT, 2, patient="PB", name="Roe^Bea"), *ct(1, series=3)]
        await pacs.store([*stored, make(MR)])
        found = [s async for s in pacs.adapter.studies(DateSpan())]
        assert sorted(text(one, "StudyInstanceUID") for one in found) == [CT, MR]
        (listed,) = (one for one in found if text(one, "StudyInstanceUID") == CT)
        assert number(listed, "NumberOfStudyRelatedInstances") == 4
        for detail in (Detail.SERIES, Detail.UIDS, Detail.INSTANCES):
            study = await pacs.adapter.describe(CT, detail)
            assert study.count == 4
            assert study.has_several_patients
            of = dict.fromkeys((f"P{CT}", "PB"), 0)
            for series in study.series:
                of[text({**study.attributes, **series.attributes}, "PatientID")] += 1
            assert of == {f"P{CT}": 2, "PB": 1}
        assert text(study.attributes, "PatientID") == text(listed, "PatientID") == f"P{CT}"
        async with pacs.adapter.retrieve(await pacs.adapter.describe(CT, Detail.SERIES)) as stream:
            assert by_uid([one async for one in stream]) == by_uid(stored)
        assert await fetch(pacs, CT) == by_uid(stored)

    async def test_uids_are_taken_as_they_are(self, pacs: Pacs) -> None:
        """Letters, more than 64 characters: devices write them, and PACS take them."""
        study, series = "1.2.826.0.1." + "7" * 58, "1.2.826.SERIES_1"
        odd = [
            make(CT, 1, n, StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=uid)
            for n, uid in enumerate(("1.2.ABC-1", "1.2.3.4", "2." + "8" * 62), start=1)
        ]
        await pacs.store([*odd, make(MR)])
        found = [s async for s in pacs.adapter.studies(DateSpan())]
        assert {text(one, "StudyInstanceUID") for one in found} == {study, MR}
        described = await pacs.adapter.describe(study)
        assert [one.uid for one in described.series] == [series]
        assert await fetch(pacs, study) == by_uid(odd)
        wanted = [odd[0].sop_instance_uid]
        assert await fetch(pacs, study, wanted) == by_uid(odd[:1])

    async def test_all_that_the_vocabulary_has_is_told(self, pacs: Pacs) -> None:
        """What an older program did not ask for: C-FIND finds by it."""
        told = {
            "PatientWeight": "70.50",
            "OperatorsName": "Roe^Max",
            "BodyPartExamined": "HEAD",
            "PatientPosition": "HFS",
            "PixelSpacing": ["0.50", "0.5"],
            "SliceLocation": "-120.50",
        }
        await pacs.store([make(CT, **told)])
        study = await pacs.adapter.describe(CT)
        assert number(study.attributes, "PatientWeight") is None
        assert float(text(study.attributes, "PatientWeight")) == 70.5
        (series,) = study.series
        for keyword in ("OperatorsName", "BodyPartExamined", "PatientPosition"):
            assert text(series.attributes, keyword) == told[keyword]
        (image,) = series.instances
        assert [float(one) for one in texts(image, "PixelSpacing")] == [0.5, 0.5]
        assert float(text(image, "SliceLocation")) == -120.5
        assert number(image, "Rows") == 64

    async def test_every_attribute_of_an_image_finds_it_or_is_said_not_to_count(
        self, pacs: Pacs, tmp_path: Path
    ) -> None:
        (image,) = (one for one in real() if one.sop_class_uid == CTImageStorage)
        await pacs.store([image, make(MR)])
        uid = study_of(image)
        described = await pacs.adapter.describe(uid)
        index = CatalogueIndex(tmp_path / "catalogue.db")
        index.upsert([evolve(described, series=_bare(described)).record(StudyId(bytes(16)))])
        listing = decode_listing(encode_listing(described.series)[0])
        asked = matched = 0
        for element in dcmread(BytesIO(image.part10()), stop_before_pixels=True):
            value = "" if element.VR == "SQ" or element.tag.is_private else str(element.value)
            if not value or len(value) > 64 or element.VM > 1:
                continue
            identifier = _question(uid, described.series[0].uid, element)
            records = index.candidates(identifier)
            if identifier.QueryRetrieveLevel == "IMAGE":
                records = (listing.into(record) for record in records)
            answers = find(records, identifier, "STUDY", index.known)
            assert len(list(answers)) == 1, element.keyword
            asked, matched = asked + 1, matched + (not answers.ignored)
        index.close()
        assert asked >= 50
        assert matched >= 34, "the others are not in the vocabulary"

    async def test_images_are_described_alike_whether_they_are_held_or_not(
        self, pacs: Pacs
    ) -> None:
        (image,) = (one for one in real() if one.sop_class_uid == CTImageStorage)
        await pacs.store([image])
        told = (await pacs.adapter.describe(study_of(image))).instances[image.sop_instance_uid]
        held = load(code(image).attributes)
        keys = [key for key in INSTANCE_TAGS & told.keys() if texts(told, key)]
        assert {tag("PixelSpacing"), tag("ImagePositionPatient"), tag("InstanceNumber")} <= {*keys}
        for key in set(keys) - {tag("AvailableTransferSyntaxUID")}:
            same = texts(told, key) == texts(held, key)
            assert same or _numbers(told, key) == _numbers(held, key), key
            if not pacs.numbers:
                assert same, key

    async def test_leaving_early_ends_the_retrieval(self, pacs: Pacs) -> None:
        await pacs.store(ct(20))
        study = await pacs.adapter.describe(CT)
        with trio.fail_after(20):
            async with pacs.adapter.retrieve(study) as stream:
                async for _ in stream:
                    break
            assert len(await fetch(pacs, CT)) == 20

    async def test_two_retrievals_at_once(self, pacs: Pacs) -> None:
        await pacs.store([*ct(6), *(make(MR, number=n, modality="MR") for n in range(1, 7))])
        got: dict[str, dict[str, EncodedInstance]] = {}

        async def one(uid: str) -> None:
            got[uid] = await fetch(pacs, uid)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, CT)
            nursery.start_soon(one, MR)
        assert {uid: len(found) for uid, found in got.items()} == {CT: 6, MR: 6}

    async def test_a_study_that_is_gone_is_retrieved_with_an_error(self, pacs: Pacs) -> None:
        if pacs.remove is None:
            pytest.skip("this PACS removes nothing")
        await pacs.store([*ct(2), make(MR)])
        study = await pacs.adapter.describe(CT)
        await pacs.remove(CT)
        assert await _taken(pacs, study) == []
        with pytest.raises(StudyNotFoundError):
            await pacs.adapter.describe(CT)


def _bare(described: Description) -> tuple[SeriesRecord, ...]:
    return tuple(evolve(series, instances=()) for series in described.series)


def _question(study: str, series: str, element: DataElement) -> Dataset:
    """A query for this attribute with its own value, at its level."""
    key, identifier = f"{int(element.tag):08X}", Dataset()
    identifier.StudyInstanceUID, identifier.SeriesInstanceUID = study, series
    identifier.QueryRetrieveLevel = "IMAGE"
    if key in SERIES_TAGS | STUDY_LEVEL_TAGS:
        identifier.QueryRetrieveLevel = "SERIES" if key in SERIES_TAGS else "STUDY"
    identifier.add(element)
    return identifier


def _numbers(attributes: Json, key: str) -> list[float]:
    return [float(value) for value in texts(attributes, key)]


def mixed() -> list[EncodedInstance]:
    """Instances of `CT` in three other transfer syntaxes."""
    syntaxes = (ImplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian)
    return [recode(make(CT, 1, n), syntax) for n, syntax in enumerate(syntaxes, start=2)]


async def _taken(pacs: Pacs, study: Description) -> list[EncodedInstance]:
    """What comes; whether it ends with an error is the PACS's choice."""
    taken: list[EncodedInstance] = []
    with suppress(PacsError, StudyNotFoundError):
        async with pacs.adapter.retrieve(study) as stream:
            async for instance in stream:
                taken.append(instance)  # noqa: PERF401 - what came before an error counts
    return taken
