"""DIMSE client: verification, query, retrieval by C-GET or C-MOVE, storage.

pynetdicom works in threads. Cancelling a call aborts its association at once,
and every wait has a deadline, so a PACS that hangs holds nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.association import Association, release
from p2pacs.dimse.association.calls import CallAssociation, call, filling
from p2pacs.dimse.association.inbox import Inbox
from p2pacs.dimse.association.remote import DimseRemote, check_aet
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.backend import Urgency
from p2pacs.dimse.client.statuses import (
    ENDED_EARLY,
    PENDING,
    PacsStatuses,
    failed_uids,
    last,
    may_lack_contexts,
    wanted,
)
from p2pacs.dimse.delivery.sender import SUCCESS, InstanceSender
from p2pacs.dimse.server.receiver import StorageReceiver, instance_of, onto_disk
from p2pacs.errors import (
    BrokenInstanceError,
    P2PacsError,
    PacsDataError,
    PacsRefusedError,
    PacsUnreachableError,
)

SILENCE_SECONDS: Final = 60.0
"""How long a PACS may be silent in an operation before it counts as hung."""


class DimseClient:
    """Speaks to one remote application entity; every call opens an association of its own."""

    def __init__(
        self,
        remote: DimseRemote,
        aet: str,
        *,
        silence: float = SILENCE_SECONDS,
        tuning: DimseTuning = TUNING,
        folder: Path | None = None,
    ) -> None:
        """A client; nothing is opened.

        Args:
            remote: whom it calls.
            aet: our own AE title.
            silence: seconds after which a remote that is silent counts as hung.
            tuning: further deadlines and bounds.
            folder: on whose disk large instances lie that a C-GET brings; None: in memory.
        """
        self._folder = folder
        self._tuning = tuning
        self.remote = remote
        self.aet = check_aet(aet)
        self._silence = silence
        self._statuses = PacsStatuses(remote)

    async def echo(self) -> None:
        """C-ECHO.

        Raises:
            PacsUnreachableError: nobody there who speaks DICOM with us.
        """

        def work(line: CallAssociation) -> None:
            with self._association(line, [(contexts.VERIFICATION, contexts.NATIVE[:2])]) as assoc:
                self._check(assoc, assoc.send_c_echo(), "C-ECHO")

        await call(work)

    async def offers(self, services: Sequence[str]) -> set[str]:
        """Which of these SOP Classes it accepts from us, by one association; nothing is asked.

        Raises:
            PacsUnreachableError: no association with it.
            PacsBusyError: not now.
        """
        proposal = [(service, contexts.NATIVE[:2]) for service in services]

        def work(line: CallAssociation) -> set[str]:
            try:
                assoc = associate(
                    self._entity(), self.remote, proposal, opening=line.opening, tuning=self._tuning
                )
            except PacsRefusedError:  # it accepts none
                return set()
            try:
                return {str(one.abstract_syntax) for one in assoc.accepted_contexts}
            finally:
                release(assoc)

        return await call(work)

    async def find(self, identifier: Dataset, root: QueryRoot = "STUDY") -> list[Dataset]:
        """C-FIND: all answers.

        Raises:
            PacsRefusedError: a failure status, also after some answers.
            PacsDataError, PacsUnreachableError, DeadlineError: see `find_some`.
        """
        answers, failure = await self.find_some(identifier, root)
        if failure is not None:
            raise failure
        return answers

    async def find_some(
        self, identifier: Dataset, root: QueryRoot = "STUDY"
    ) -> tuple[list[Dataset], PacsRefusedError | None]:
        """C-FIND: the answers that come, and why there are no more if the remote ended it early:
        many end a query that has more answers than they give (Orthanc: cancelled, 0xFE00).

        Raises:
            PacsRefusedError: a failure status without any answer, other than being out of
                resources or cancelled.
            PacsDataError: an answer that cannot be decoded, or too many.
            PacsUnreachableError: no association, or it ended.
            DeadlineError: the PACS hangs.
        """
        model = contexts.FIND[root]

        def work(line: CallAssociation) -> tuple[list[Dataset], PacsRefusedError | None]:
            answers: list[Dataset] = []
            with self._association(line, [(model, contexts.NATIVE[:2])]) as assoc:
                status = Dataset()
                for status, answer in assoc.send_c_find(identifier, UID(model)):
                    if status.get("Status") in PENDING:
                        answers.append(self._answer(answer, len(answers)))
                try:
                    self._check(assoc, status, "C-FIND")
                except PacsRefusedError as failure:
                    if not answers and status.get("Status") not in ENDED_EARLY:
                        raise
                    return answers, failure
            return answers, None

        return await call(work)

    @asynccontextmanager
    async def get(
        self,
        identifier: Dataset,
        root: QueryRoot = "STUDY",
        *,
        classes: Mapping[str, Sequence[str]],
    ) -> AsyncIterator[Inbox]:
        """C-GET: the instances as they come, byte for byte as the PACS stores them.

        The iterator raises, after the last instance, what went wrong: `PacsRefusedError`
        (also when single instances failed), `PacsUnreachableError`, `DeadlineError`,
        `BrokenInstanceError`. Leaving the block aborts the association.

        Where there are more pairs of SOP Class and transfer syntax than one association has
        contexts for, and not all instances came, it asks again with the other pairs.

        Args:
            identifier: with QueryRetrieveLevel and the unique keys.
            root: information model.
            classes: SOP Class → transfer syntaxes that it is stored in, as far as known (an
                empty list proposes all plausible ones). At best from an image level C-FIND.
        """
        inbox = Inbox()

        def work(line: CallAssociation) -> None:
            self._get(
                line, identifier, contexts.GET[root], contexts.propose_storage(classes), inbox
            )

        async with filling(inbox, work):
            yield inbox

    def _get(
        self,
        line: CallAssociation,
        identifier: Dataset,
        model: str,
        proposals: Sequence[Sequence[tuple[str, Sequence[str]]]],
        inbox: Inbox,
    ) -> None:
        """Ask with one proposal after the other, as long as instances fail."""
        received: set[str] = set()
        before: frozenset[str] = frozenset()
        first, lacking = Dataset(), set[str]()

        def store(event: evt.Event) -> int:
            request: Any = event.request
            uid = str(request.AffectedSOPInstanceUID)
            if uid in before:  # by the association before; twice in one is passed on
                return SUCCESS
            status = _deliver(event, inbox)
            if status == SUCCESS:
                received.add(uid)
            return status

        for number, proposal in enumerate(proposals or [[]]):
            before = frozenset(received)
            with self._association(
                line,
                [(model, contexts.NATIVE[:2]), *proposal],
                scp_roles=list(dict.fromkeys(sop_class for sop_class, _ in proposal)),
                handlers=[(evt.EVT_C_STORE, store)],
            ) as assoc:
                if self._folder is not None:
                    assoc.dimse.receive = onto_disk(self._folder)
                answers = assoc.send_c_get(identifier, UID(model), priority=Urgency.MEDIUM)
                status, failed = last(answers)
                if number == 0:
                    first, lacking = status, failed_uids(failed)
                if not may_lack_contexts(status):
                    self._check(assoc, status, "C-GET")
                    return
            if (lacking and lacking <= received) or 0 < wanted(first) <= len(received):
                return
        if lacking:
            first.NumberOfFailedSuboperations = len(lacking - received)
        self._statuses.refuse(first, "C-GET")

    @asynccontextmanager
    async def move(
        self, identifier: Dataset, receiver: StorageReceiver, root: QueryRoot = "STUDY"
    ) -> AsyncIterator[Inbox]:
        """C-MOVE into our own receiver: for a PACS without C-GET. As `get` otherwise."""
        model = contexts.MOVE[root]
        inbox = Inbox()

        def work(line: CallAssociation) -> None:
            with (
                receiver.expecting(inbox) as number,
                self._association(line, [(model, contexts.NATIVE[:2])]) as assoc,
            ):
                answers = assoc.send_c_move(
                    identifier,
                    receiver.aet,
                    UID(model),
                    msg_id=number,
                    priority=Urgency.MEDIUM,
                )
                self._check(assoc, last(answers)[0], "C-MOVE")

        async with filling(inbox, work):
            yield inbox

    async def store(self, instances: Iterable[EncodedInstance | LargeInstance]) -> int:
        """C-STORE: send instances, byte for byte; how many.

        Args:
            instances: taken one by one, in a thread.

        Raises:
            PacsRefusedError: one was not accepted; those before it were.
            PacsUnreachableError: no association, or it ended.
        """

        def work(line: CallAssociation) -> int:
            sender = InstanceSender(
                self._entity(),
                self.remote,
                known=lambda: (),
                opening=line.opening,
                tuning=self._tuning,
            )
            sent = 0
            try:
                for instance in instances:
                    self._check_stored(sender.send(instance), instance)
                    sent += 1
            finally:
                sender.close()
            return sent

        return await call(work)

    def _check_stored(self, status: int | None, instance: EncodedInstance | LargeInstance) -> None:
        if status is None:
            syntax = UID(instance.transfer_syntax_uid).name
            sop_class = UID(instance.sop_class_uid).name
            raise PacsRefusedError(f"{self.remote} does not accept {sop_class} in {syntax}")
        if status != SUCCESS and status & 0xF000 != 0xB000:
            raise PacsRefusedError(f"{self.remote} answers C-STORE with status 0x{status:04X}")

    def _entity(self) -> AE:
        entity = AE(self.aet)
        entity.connection_timeout = self._tuning.connect
        entity.acse_timeout = self._tuning.negotiate
        entity.dimse_timeout = self._silence
        return entity

    @contextmanager
    def _association(
        self, line: CallAssociation, proposal: Sequence[tuple[str, Sequence[str]]], **options: Any
    ) -> Iterator[Association]:
        service = proposal[0][0]
        refused = PacsRefusedError(
            f"{self.remote} does not offer {UID(service).name} to {self.aet}: allow it in the PACS"
        )
        try:
            assoc = associate(
                self._entity(),
                self.remote,
                proposal,
                opening=line.opening,
                tuning=self._tuning,
                **options,
            )
        except PacsRefusedError as error:
            raise refused from error
        try:
            if service not in {context.abstract_syntax for context in assoc.accepted_contexts}:
                raise refused
            yield assoc
        except RuntimeError as error:
            # What pynetdicom raises when the association ended before a message was sent.
            if assoc.is_established:
                raise
            raise PacsUnreachableError(f"{self.remote} ended the association") from error
        finally:
            release(assoc)

    def _answer(self, answer: Dataset | None, count: int) -> Dataset:
        if answer is None:
            raise PacsDataError(f"{self.remote} sent an answer to C-FIND that is not DICOM")
        if count >= self._tuning.answers:
            most = self._tuning.answers
            raise PacsDataError(f"{self.remote} has over {most} answers: narrow the query")
        return answer

    def _check(self, assoc: Association, status: Dataset, operation: str) -> None:
        self._statuses.check(status, operation, aborted=assoc._sent_abort)


def _deliver(event: evt.Event, inbox: Inbox) -> int:
    try:
        instance = instance_of(event)
    except P2PacsError as error:
        inbox.close(error)
        return 0xC000 if isinstance(error, BrokenInstanceError) else error.dicom_status
    return SUCCESS if inbox.put(instance) else 0xA700
