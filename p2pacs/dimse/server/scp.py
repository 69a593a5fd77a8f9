"""The PACS that a workstation sees: C-ECHO, C-FIND, C-MOVE, C-GET and, if wanted, C-STORE."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AsyncExitStack, closing
from types import TracebackType
from typing import Any, Self, cast

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_FIND, C_STORE

from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.uids import UID_CHARACTERS
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.association import Association
from p2pacs.dimse.association.received import Receive, ReceivedDataSet
from p2pacs.dimse.association.remote import DimseRemote, MakeContext
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.backend import Backend
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.dimse.delivery.conversion import Conversion
from p2pacs.dimse.server.commitment import CommitmentService
from p2pacs.dimse.server.identifiers import decode_identifier
from p2pacs.dimse.server.listener import Listener, agreed_options
from p2pacs.dimse.server.retrieve import RetrieveService
from p2pacs.errors import BrokenInstanceError, P2PacsError, PacsDataError, UsageError
from p2pacs.units import Endpoint

log = structlog.get_logger(__name__)

_OUT_OF_RESOURCES = 0xA700
_CANNOT_UNDERSTAND = 0xC000

FindAnswer = tuple[int | Dataset, Dataset | None]


class DimseServer:
    """A DICOM application entity in front of a `Backend`; an async context manager.

    Args:
        aet: our AE title.
        endpoint: where to listen; port 0 takes a free one, see `port`.
        backend: what answers; called in threads.
        destinations: AE title → where a C-MOVE to it goes. Looked up at each request.
        allowed_callers: AE titles that may call us; empty: all.
        stores: whether C-STORE is accepted.
        options: what every C-FIND does, besides what is negotiated.
        tls: for those who call; None: nothing is encrypted.
        conversion: for whom instances are converted; None: for nobody.
        commitment: takes requests for Storage Commitment; None: there is none.
        tuning: deadlines and bounds.
    """

    def __init__(
        self,
        aet: str,
        endpoint: Endpoint,
        backend: Backend,
        destinations: Mapping[str, DimseRemote],
        *,
        allowed_callers: Collection[str] = (),
        stores: bool = False,
        options: SearchOptions = LITERAL,
        conversion: Conversion | None = None,
        commitment: CommitmentService | None = None,
        tls: MakeContext | None = None,
        tuning: DimseTuning = TUNING,
    ) -> None:
        self._backend = backend
        self._most = tuning.found
        self._is_secure = tls is not None
        self._stack = AsyncExitStack()
        self._listener = Listener(
            aet,
            endpoint,
            stores=stores,
            receiver=self._receiver if stores else None,
            options=options,
            handlers=[(evt.EVT_C_FIND, self._find), (evt.EVT_C_STORE, self._store)],
            allowed_callers=allowed_callers,
            known_hosts=lambda: {remote.host for remote in tuple(destinations.values())},
            tls=tls,
            tuning=tuning,
        )
        self.aet = self._listener.entity.ae_title
        service = RetrieveService(backend, self._listener.entity, destinations, tuning, conversion)
        asked = {} if commitment is None else commitment.services()
        self._listener.services = service.services() | asked

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._listener.listening())
        log.info("DICOM server listens", aet=self.aet, port=self.port, tls=self._is_secure)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def _find(self, event: evt.Event) -> Iterator[FindAnswer]:
        caller = _caller(event)
        root: QueryRoot = (
            "PATIENT" if event.context.abstract_syntax == contexts.FIND["PATIENT"] else "STUDY"
        )
        try:
            request: C_FIND = event.request  # type: ignore[assignment]
            syntax = UID(event.context.transfer_syntax)
            identifier = decode_identifier(request.Identifier, syntax)
            options = agreed_options(event.assoc, str(event.context.abstract_syntax))
            answers = self._backend.find(identifier, root, caller, options)
            for number, answer in enumerate(answers):
                if event.is_cancelled:
                    yield sub.CANCELLED, None
                    return
                if number >= self._most:
                    log.warning("C-FIND cut short", caller=caller, answers=number)
                    yield _status(_OUT_OF_RESOURCES, "too many answers: narrow the query"), None
                    return
                answer.RetrieveAETitle = self.aet
                yield (sub.PENDING_IGNORED if answers.ignored else sub.PENDING), answer
        except P2PacsError as error:
            log.warning("C-FIND refused", caller=caller, error=str(error))
            yield _status(error.dicom_status, sub.comment_of(error)), None

    def _receiver(self, assoc: Association) -> Receive:
        def receive(uids: InstanceUids, told: str) -> IncomingInstance:
            if not _is_named(told, uids.instance):
                raise UsageError("the data set is another SOP Instance")
            return self._backend.receive(uids, _caller_of(assoc))

        return receive

    def _store(self, event: evt.Event) -> int | Dataset:
        try:
            with closing(self._received(event)) as received:
                received.keep()
        except PacsDataError as error:
            log.warning("C-STORE refused", caller=_caller(event), error=str(error))
            return _status(_CANNOT_UNDERSTAND, sub.comment_of(error))
        except P2PacsError as error:
            log.warning("C-STORE failed", caller=_caller(event), error=str(error))
            return _status(error.dicom_status, sub.comment_of(error))
        return sub.SUCCESS

    def _received(self, event: evt.Event) -> ReceivedDataSet:
        """The data set of a C-STORE; a small one may have come with its command."""
        request: C_STORE = event.request  # type: ignore[assignment]
        data_set = request.DataSet
        if isinstance(data_set, ReceivedDataSet):
            return data_set
        if data_set is None:
            raise BrokenInstanceError("an instance without a data set")
        told = InstanceUids(
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
            str(event.context.transfer_syntax),
        )
        receive = self._receiver(cast(Association, event.assoc))
        return ReceivedDataSet(told, receive, data_set.getvalue())


def _is_named(told: str, own: str) -> bool:
    """Whether a request names the instance that it carries; DCMTK cuts UIDs off."""
    return told == own or (len(told) == UID_CHARACTERS and own.startswith(told))


def _caller(event: evt.Event) -> str:
    return _caller_of(event.assoc)


def _caller_of(assoc: Any) -> str:
    return str(assoc.requestor.ae_title).strip()


def _status(code: int, comment: str) -> Dataset:
    status = Dataset()
    status.Status = code
    status.ErrorComment = comment
    return status
