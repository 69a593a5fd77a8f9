from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import frozen
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from broker.pacs.retrieval.stream import Put, streamed
from broker.publish.publisher import PublisherTuning
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsError
from p2pacs.publish.source import Description, Detail
from p2pacs.study.coding import CodedInstance
from tests.broker.fakes import FakePacs
from tests.broker.publish.bench import bench, coded
from tests.conformance.instances import make

UID = "1.2.1"


async def test_a_new_study_is_counted_and_never_listed(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID), make(UID, 1, 2)) as b:
        await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.SERIES]


async def test_an_unchanged_study_is_listed_once(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        await b.publish(UID)
        b.pacs.described.clear()
        await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.UIDS]


async def test_a_study_that_grew_is_listed(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        await b.publish(UID)
        b.pacs.described.clear()
        b.pacs.add(make(UID, 1, 2))
        progress = await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.UIDS, Detail.UIDS]
        assert (progress.instances_done, progress.instances_wanted) == (2, 2)


async def test_a_study_is_pinned_only_while_it_is_staged(tmp_path: Path) -> None:
    pinned: list[bool] = []

    async def coder(instance: EncodedInstance) -> CodedInstance:
        pinned.extend(info.pinned for info in b.store.studies())
        return await coded(instance)

    async with bench(tmp_path, make(UID), coder=coder) as b:
        await b.publish(UID)
        assert pinned == []  # nothing was in the store yet
        b.pacs.add(make(UID, 1, 2))
        await b.publish(UID)
        assert pinned == [True]
        assert [info.pinned for info in b.store.studies()] == [False]


async def test_nothing_of_a_patient_is_logged(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID, name="Secret^Name")) as b:
        b.pacs.extra = [make("1.2.99")]
        with capture_logs() as logs:
            await b.publish(UID)
        assert logs
        assert UID not in str(logs)
        assert "Secret" not in str(logs)


# ---------------------------------------------------------------- corrections at any moment

WHAT: Final = ("patient", "description", "time", "series", "added", "removed")


@frozen
class Correction:
    """What somebody does in the source, after so many answers and instances that it gave."""

    after: int
    what: str
    number: int


def _at(time: int) -> dict[str, Any]:
    return {"ContentTime": f"{time:06d}"}


class Corrected(FakePacs):
    """A source in which people work while it is read; nothing becomes again what it was."""

    def __init__(self, corrections: Sequence[Correction]) -> None:
        super().__init__()
        self._waiting = sorted(corrections, key=lambda one: one.after)
        self._given = 0
        self._edition = 0
        self._study: dict[str, Any] = {}
        self._instances: dict[int, dict[str, Any]] = {n: _at(0) for n in (1, 2, 3)}
        self._show()

    def settle(self) -> None:
        """All that waited is done."""
        self._count(1000)

    def _count(self, more: int = 1) -> None:
        self._given += more
        while self._waiting and self._waiting[0].after <= self._given:
            self._correct(self._waiting.pop(0))
            self._show()

    def _correct(self, one: Correction) -> None:
        self._edition += 1
        match one.what:
            case "patient":
                self._study["patient"] = f"P{self._edition}"
            case "description":
                self._study["StudyDescription"] = f"D{self._edition}"
            case "added":
                self._instances[3 + self._edition] = _at(0)
            case "removed" if len(self._instances) > 1:
                self._instances.pop(one.number, None)
            case "time" if one.number in self._instances:
                self._instances[one.number] |= _at(self._edition)
            case "series" if one.number in self._instances:
                self._instances[one.number]["SeriesInstanceUID"] = f"{UID}.{self._edition + 1}"

    def _show(self) -> None:
        self.held.clear()
        for number, more in self._instances.items():
            self.add(make(UID, 1, number, size=8, **self._study, **more))

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        self._count()
        return await super().describe(uid, detail)

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[EncodedInstance]]:
        async def produce(put: Put) -> None:
            for uid in [uid for uid in self.held if wanted is None or uid in wanted]:
                self._count()
                if uid in self.held:
                    await put(self.held[uid])

        return streamed(produce)


CORRECTIONS = st.builds(
    Correction, st.integers(1, 14), st.sampled_from(WHAT), number=st.integers(1, 3)
)


@given(corrections=st.lists(CORRECTIONS, max_size=5))
@settings(max_examples=25)
async def test_whoever_asks_after_a_correction_is_given_nothing_of_what_was_before(
    corrections: list[Correction],
) -> None:
    """Whatever was corrected, and whenever: before the study was published or while it was read."""
    # Whether a description is corrected or a new series' own is not known: see `told_otherwise`.
    assume(not {"description", "series"} <= {one.what for one in corrections})
    pacs = Corrected(corrections)
    tuning = PublisherTuning(retry_seconds=(0.0, 0.0, 0.0))
    with TemporaryDirectory() as folder:
        async with bench(Path(folder), pacs=pacs, tuning=tuning) as b:
            for _ in range(2):
                with suppress(PacsError):
                    await b.publish(UID)
            pacs.settle()
            progress = b.publisher.stage(UID)
            await progress.wait_compared()
            assert (await b.held(UID)).items() <= pacs.held.items()
            await progress.wait()
            assert await b.held(UID) == pacs.held
            assert b.roots[-1].complete
