"""Listens for associations: what the gateway's server and the receiver have in common."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
import trio
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.presentation import PresentationContext

from p2pacs import limits
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.association import Association, Handlers, Service, hang_up, remote_of
from p2pacs.dimse.association.extended_negotiation import negotiate
from p2pacs.dimse.association.received import Receive
from p2pacs.dimse.association.remote import MakeContext, check_aet
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.server.association_limits import AssociationLimits, NamedHosts
from p2pacs.dimse.server.connections import Server
from p2pacs.process.listening import ListenError
from p2pacs.process.sparse_log import Sparse
from p2pacs.units import Endpoint

log = structlog.get_logger(__name__)

_SUB_OPERATION_SECONDS: Final = 60.0
"""How long a workstation may take to answer one C-STORE sub-operation."""

_POLL_SECONDS: Final = 0.05

_LIMIT_EXCEEDED: Final = (0x02, 0x03, 0x02)
"""Rejected-transient, by the presentation layer, as a local limit is exceeded (PS3.8 9.3.4)."""


class Listener:
    """An application entity that accepts associations on one endpoint.

    ``services`` may be set before it listens: request type → who serves it.
    """

    def __init__(
        self,
        aet: str,
        endpoint: Endpoint,
        *,
        stores: bool,
        handlers: Handlers,
        receiver: Callable[[Association], Receive] | None = None,
        options: SearchOptions = LITERAL,
        allowed_callers: Collection[str] = (),
        known_hosts: Callable[[], Iterable[str]] = tuple,
        tls: MakeContext | None = None,
        tuning: DimseTuning = TUNING,
    ) -> None:
        """Nothing listens before `listening`.

        Args:
            aet: our AE title.
            endpoint: where to listen.
            stores: whether C-STORE is accepted.
            handlers: of pynetdicom's events.
            receiver: who keeps what is stored on an association, while it comes; None: it is
                in memory when the handler gets it.
            options: what every C-FIND does.
            allowed_callers: AE titles that may call; empty: all.
            known_hosts: hosts that the settings name, for which room is kept; looked up at
                each connection.
            tls: for those who call; None: nothing is encrypted.
            tuning: deadlines and bounds.
        """
        self.entity = AE(check_aet(aet))
        self.entity.acse_timeout = tuning.negotiate
        self.entity.connection_timeout = tuning.connect
        self.entity.dimse_timeout = _SUB_OPERATION_SECONDS
        self.entity.network_timeout = tuning.idle
        # AssociationLimits decide; pynetdicom would count connections that ask for nothing, too.
        self.entity.maximum_associations = 2 * tuning.connections
        self.entity.maximum_pdu_size = tuning.pdu_bytes
        self.entity.require_calling_aet = [check_aet(caller) for caller in allowed_callers]
        self._endpoint = endpoint
        self._tuning = tuning
        self._known = NamedHosts(known_hosts)
        self._tls = tls
        self._stores = stores
        self._receiver = receiver
        self._options = options
        self.services: Mapping[type, Service] = {}
        self._sparse = Sparse()
        self._telling = threading.Lock()
        self._handlers = [
            *handlers,
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_SOP_EXTENDED, self._negotiated),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, _rejected),
        ]
        self.port = endpoint.port

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Accept associations inside the block; those still open at its end are aborted.

        Raises:
            StateError: the endpoint is taken or not ours, or its certificate cannot be used.
        """
        server = await trio.to_thread.run_sync(self._open)
        thread = threading.Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name="dicom-listener", daemon=True
        )
        thread.start()
        stopped = threading.Event()
        # A thread, as the resolver blocks and nobody may wait for it, not even at the end.
        threading.Thread(
            target=self._keep_known, args=(stopped,), name="dicom-hosts", daemon=True
        ).start()
        try:
            yield
        finally:
            stopped.set()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_close, server)

    def _keep_known(self, stopped: threading.Event) -> None:
        """Look names of hosts up, now and then: what they mean changes."""
        while not stopped.is_set():
            self._known.refresh()
            stopped.wait(self._tuning.resolve)

    def _open(self) -> Server:
        tls = None if self._tls is None else self._tls()
        largest = limits.INSTANCE_BYTES if self._stores else limits.DICOM_MESSAGE_BYTES
        try:
            server = Server(
                self.entity,
                (self._endpoint.host, self._endpoint.port),
                handlers=self._handlers,
                services=self.services,
                largest_data_set=largest,
                limits=AssociationLimits(self._known, self._tuning),
                tuning=self._tuning,
                receiver=self._receiver,
                tls=tls,
            )
        except OSError as error:
            raise ListenError(self._endpoint, error) from error
        self.port = server.server_address[1]
        return server

    def _requested(self, event: evt.Event) -> None:
        """Choose what to accept of what is proposed."""
        assoc: Any = event.assoc
        if not assoc._server.may_associate(assoc):
            log.warning("association rejected: too many", remote=remote_of(assoc))
            assoc.acse.send_reject(*_LIMIT_EXCEEDED)
            assoc.kill()
            return
        definitions = assoc.requestor.primitive.presentation_context_definition_list
        proposed = [
            (str(context.abstract_syntax), [str(syntax) for syntax in context.transfer_syntax])
            for context in definitions
        ]
        assoc.proposed = proposed
        assoc.options = dict.fromkeys(contexts.FIND.values(), self._options)
        assoc.acceptor.supported_contexts = [
            _supported(acceptance)
            for acceptance in contexts.accept(
                proposed,
                _offered(assoc),
                stores=self._stores,
                commitment=self._commitment,
            )
        ]
        # pynetdicom has one order of preference for all contexts of a SOP Class: so each
        # offers what is chosen for it, and nothing else, when that order is applied.
        for context, syntax in zip(definitions, contexts.choose_syntaxes(proposed), strict=True):
            if syntax is not None:
                context.transfer_syntax = [UID(syntax)]

    def _accepted(self, event: evt.Event) -> None:
        """Say who came to store where nothing is: it hears only that no context was accepted."""
        assoc: Any = event.assoc
        if self._stores or not contexts.wants_to_store(assoc.proposed, _offered(assoc)):
            return
        host, said = assoc.requestor.address, "nothing is stored here: see sending.enabled"
        with self._telling:
            self._sparse.warn(log, said, host, time.monotonic(), remote=remote_of(assoc))

    @property
    def _commitment(self) -> contexts.CommitmentRole:
        if N_ACTION in self.services:
            return "SCP"
        return "SCU" if N_EVENT_REPORT in self.services else "none"

    def _negotiated(self, event: Any) -> dict[UID, bytes]:
        """Agree on what the requestor's searches and retrievals do."""
        proposed = {str(sop_class): said for sop_class, said in event.app_info.items()}
        options, answers = negotiate(proposed, self._options)
        event.assoc.options.update(options)
        return {UID(sop_class): answer for sop_class, answer in answers.items()}


def agreed_options(assoc: Any, sop_class: str) -> SearchOptions:
    """What was agreed on for a FIND, MOVE or GET class on an association that we accepted."""
    options: SearchOptions = assoc.options.get(sop_class, LITERAL)
    return options


def _offered(assoc: Any) -> set[str]:
    """SOP Classes for which a requestor offers to be SCP."""
    roles = assoc.requestor.role_selection
    return {str(sop_class) for sop_class, role in roles.items() if role.scp_role}


def _supported(acceptance: contexts.Acceptance) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(acceptance.sop_class)
    context.transfer_syntax = [UID(syntax) for syntax in acceptance.syntaxes]
    if acceptance.roles is not None:
        context.scu_role, context.scp_role = acceptance.roles
    return context


def _rejected(event: evt.Event) -> None:
    log.warning(
        "association rejected: calling AE title not allowed",
        remote=remote_of(event.assoc),
    )


def _close(server: Server) -> None:
    open_ones = list(server.active_associations)
    server.shutdown()
    for assoc in {*open_ones, *server.active_associations}:
        hang_up(assoc)
