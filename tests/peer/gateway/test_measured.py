from collections.abc import Iterator

import httpx
import pytest
from pydicom.dataset import Dataset
from starlette.types import Receive, Scope, Send

from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.backend import Ending, Retrieval, RetrievedItem, Urgency, Waiting
from p2pacs.errors import ForbiddenError, StudyNotFoundError
from p2pacs.metrics.durations import Durations
from peer.gateway.measured import MeasuredBackend, MeasuredDicomweb, resource_kind
from tests.peer.world import instances


class Serving:
    """A backend with two instances; the first of which the receiver takes."""

    def __init__(self) -> None:
        self.closed: list[Ending] = []
        self.arrivals = 0
        self.ended = False
        self.fails = False

    def find(
        self, identifier: Dataset, root: QueryRoot, caller: str, options: SearchOptions
    ) -> FindAnswers:
        def answers() -> Iterator[Dataset]:
            yield Dataset()
            if self.fails:
                raise ForbiddenError("not this one")
            yield Dataset()

        if caller == "NOBODY":
            raise ForbiddenError("not you")
        return FindAnswers(answers(), {"00100010"})

    def retrieve(
        self,
        identifier: Dataset,
        root: QueryRoot,
        caller: str,
        purpose: str,
        urgency: Urgency,
        *,
        options: SearchOptions = LITERAL,
    ) -> Retrieval:
        self.options = options

        def given() -> Iterator[RetrievedItem]:
            try:
                first, second = instances(2)
                yield first
                yield Waiting.NOTHING_YET
                yield second
            finally:
                self.ended = True

        if self.fails:
            raise StudyNotFoundError("no such study")
        return Retrieval(lambda: 2, given(), arrived=self._arrived, close=self.closed.append)

    def _arrived(self) -> None:
        self.arrivals += 1

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        raise NotImplementedError


def _counts(durations: Durations) -> dict[tuple[str, ...], int]:
    return {one.labels: one.buckets[-1][1] for one in durations.read()}


def test_a_search_counts_once_when_it_ends() -> None:
    durations = Durations()
    backend = MeasuredBackend(Serving(), durations)
    answers = backend.find(Dataset(), "STUDY", "VIEWER", LITERAL)
    assert answers.ignored == {"00100010"}
    next(answers)
    assert _counts(durations) == {}
    assert len(list(answers)) == 1
    assert _counts(durations) == {("C-FIND", "done"): 1}


def test_a_search_that_fails_counts_as_failed() -> None:
    serving, durations = Serving(), Durations()
    backend = MeasuredBackend(serving, durations)
    with pytest.raises(ForbiddenError):
        backend.find(Dataset(), "STUDY", "NOBODY", LITERAL)
    serving.fails = True
    with pytest.raises(ForbiddenError):
        list(backend.find(Dataset(), "STUDY", "VIEWER", LITERAL))
    assert _counts(durations) == {("C-FIND", "failed"): 2}


def test_a_retrieval_counts_and_each_instance_that_was_sent() -> None:
    serving, durations = Serving(), Durations()
    backend = MeasuredBackend(serving, durations)
    retrieval = backend.retrieve(Dataset(), "STUDY", "V", "C-MOVE to V", Urgency.MEDIUM)
    for number, _ in enumerate(retrieval.instances):
        if number == 0:
            retrieval.arrived()
    retrieval.close(Ending.OVER)
    assert (serving.closed, serving.arrivals) == ([Ending.OVER], 1)
    assert _counts(durations) == {
        ("C-MOVE", "done"): 1,
        ("C-STORE", "done"): 1,
        ("C-STORE", "failed"): 1,
    }


def test_one_that_is_cancelled_ends_what_it_reads_from() -> None:
    serving, durations = Serving(), Durations()
    backend = MeasuredBackend(serving, durations)
    retrieval = backend.retrieve(Dataset(), "STUDY", "V", "C-GET", Urgency.MEDIUM)
    next(retrieval.instances)
    retrieval.instances.close()  # type: ignore[attr-defined]
    retrieval.close(Ending.INTERRUPTED)
    assert serving.ended
    assert _counts(durations)["C-GET", "interrupted"] == 1


def test_one_that_cannot_begin_counts_as_failed() -> None:
    serving, durations = Serving(), Durations()
    serving.fails = True
    with pytest.raises(StudyNotFoundError):
        MeasuredBackend(serving, durations).retrieve(
            Dataset(), "STUDY", "V", "C-GET", Urgency.MEDIUM
        )
    assert _counts(durations) == {("C-GET", "failed"): 1}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/dicom-web/studies", "search"),
        ("/dicom-web/studies/1.2/series", "search"),
        ("/dicom-web/studies/1.2/series/1.3/instances", "search"),
        ("/dicom-web/instances", "search"),
        ("/dicom-web/studies/1.2", "instances"),
        ("/dicom-web/studies/1.2/series/1.3/instances/1.4", "instances"),
        ("/dicom-web/studies/1.2/metadata", "metadata"),
        ("/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/1,2", "frames"),
        ("/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/1/rendered", "rendered"),
        ("/dicom-web/studies/1.2/series/1.3/instances/1.4/thumbnail", "rendered"),
        ("/dicom-web/studies/1.2/series/1.3/instances/1.4/bulkdata/a/b", "bulkdata"),
        ("/dicom-web/openapi.json", "other"),
        ("/../../etc/passwd", "other"),
    ],
)
def test_a_resource_has_a_kind_and_no_uid(path: str, kind: str) -> None:
    assert resource_kind(path) == kind
    assert resource_kind(path, "POST") == "store"


async def test_requests_count_by_their_status() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status = 404 if scope["path"].endswith("1.9") else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    durations = Durations()
    transport = httpx.ASGITransport(MeasuredDicomweb(app, durations))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        await http.get("/dicom-web/studies")
        await http.get("/dicom-web/studies/1.9")
    assert _counts(durations) == {("instances", "4xx"): 1, ("search", "2xx"): 1}
