"""The private parts of pynetdicom 3.0 that we replace at the level of associations.

pynetdicom decodes and encodes again every data set that it sends, so what a
workstation got would not be what the PACS sent. Here a C-STORE request is built
around the bytes themselves (`send_instance`), and C-GET and C-MOVE requests go
to our own services (`Association.services`) instead of pynetdicom's.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import structlog
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association as _Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_P_ABORT, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.transport import AddressInformation

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dimse.association.contexts import refusal
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.association.upper_layer import BoundedSocket, Dimse, Reactor
from p2pacs.errors import (
    PacsBusyError,
    PacsError,
    PacsRefusedError,
    PacsUnreachableError,
    StateError,
)

log = structlog.get_logger(__name__)

UID_CHARACTERS: Final = 64
"""Of a UID in a DIMSE message (PS3.5 9.1); pynetdicom takes none that is longer."""

_REJECTED_TRANSIENT: Final = 0x02
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

_FAREWELL_SECONDS: Final = 0.3
"""How long an A-ABORT may take to leave before the connection is cut."""

Handlers = Sequence[tuple[Any, Callable[[evt.Event], Any]]]
Service = Callable[["Association", Any, PresentationContext], None]


class Association(_Association):
    """An association whose C-GET and C-MOVE requests are served by us, from raw bytes."""

    def __init__(self, ae: AE, mode: str, tuning: DimseTuning = TUNING) -> None:
        super().__init__(ae, mode)
        self.tuning = tuning
        self.services: Mapping[type, Service] = {}
        self.dimse: Dimse = Dimse(self)
        self.dimse.largest_message = tuning.message_bytes
        self.dul: Reactor = Reactor(self)
        # Setting them is what tells the reactor of its timers.
        self.acse_timeout, self.network_timeout = self.acse_timeout, self.network_timeout
        self.proposed: Sequence[tuple[str, Sequence[str]]] = ()
        """SOP Class and transfer syntaxes of each context that the requestor proposed."""
        self.options: dict[str, SearchOptions] = {}
        """FIND class → what was agreed on for its searches."""
        self._serving = False
        self.ended: Callable[[], None] = _nothing
        """Called when an accepted association is over and its connection closed."""

    def run_reactor(self) -> None:
        """As pynetdicom's; however it ends, nothing of it stays open."""
        try:
            super().run_reactor()
        finally:
            self.kill()
            self.dul.join(self.tuning.farewell)
            self.ended()

    def kill(self) -> None:
        """End both threads: in order, or by force where the peer keeps them from it.

        pynetdicom waits without an end until the state machine is idle, which it never gets
        while its thread is in the middle of a PDU.
        """
        self._reactor_checkpoint.set()
        self._kill = True
        self.is_established = False
        self._is_paused = True
        deadline = time.monotonic() + self.tuning.farewell
        while self.dul.is_alive() and not self.dul.stop_dul() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.dul.kill_dul()
        sock = self.dul.socket
        if isinstance(sock, BoundedSocket) and self.dul.is_alive():
            sock.shut()
            sock.wake()

    def unused(self) -> float:
        """Seconds since something came or went; 0 while a request is served."""
        sock = self.dul.socket
        if self._serving or not isinstance(sock, BoundedSocket):
            return 0.0
        return time.monotonic() - sock.last_activity

    def _serve_request(self, msg: Any, context_id: int) -> None:
        self._serving = True
        try:
            self._serve(msg, context_id)
        finally:
            self._serving = False

    def _serve(self, msg: Any, context_id: int) -> None:
        service = self.services.get(type(msg))
        if isinstance(msg, C_STORE):  # of any SOP Class, private ones included
            service = _serve_store
        context = self._accepted_cx.get(context_id)
        if service is None or context is None or self._sent_release or not msg.is_valid_request:
            super()._serve_request(msg, context_id)
            return
        self.dimse.cancel_req = {}
        self._is_paused = True
        try:
            service(self, msg, context)
        finally:
            self._is_paused = False
            self.dimse.cancel_req = {}
            # Only what the peer sends restarts it, and the peer was waiting for us.
            self.dul._idle_timer.restart()

    def _c_store_scp(self, req: C_STORE) -> None:
        if not req.is_valid_request or req._context_id not in self._accepted_cx:
            log.warning("C-STORE request against the protocol", remote=remote_of(self))
            self.abort(block=False)
            return
        super()._c_store_scp(req)


def _nothing() -> None:
    return


def _serve_store(assoc: Association, msg: Any, context: PresentationContext) -> None:
    StorageServiceClass(assoc).SCP(msg, context)


def remote_of(assoc: _Association) -> str:
    """The peer of an association, for logs."""
    user = assoc.acceptor if assoc.is_requestor else assoc.requestor
    where = user.address_info
    address = f"{where.address}:{where.port}" if where is not None else "?"
    return f"{user.ae_title}@{address}"


def associate(
    ae: AE,
    remote: DimseRemote,
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    scp_roles: Collection[str] = (),
    handlers: Handlers = (),
    opening: Callable[[Association], None] | None = None,
    tuning: DimseTuning = TUNING,
) -> Association:
    """Open an association; blocks until it stands.

    Args:
        ae: our application entity: title and deadlines.
        remote: whom to call.
        contexts: presentation contexts: SOP Class and transfer syntaxes, at most 128.
        scp_roles: SOP Classes for which the peer may send to us on this association.
        handlers: pynetdicom's event handlers.
        opening: gets the association before it is opened, so that another thread can hang up.
        tuning: deadlines and bounds.

    Raises:
        PacsUnreachableError: no connection, not a secure one, or rejected.
        PacsBusyError: rejected for the moment.
        PacsRefusedError: it accepts associations, but none of these contexts.
    """
    address, tls = _resolved(remote), _tls_of(remote)
    local = AddressInformation("" if address.is_ipv4 else "::0", 0)
    assoc = Association(ae, "requestor", tuning)
    assoc.name = f"RequestorThread@{remote.aet}"
    sock = BoundedSocket(assoc, address=local, tuning=tuning)
    sock.tls = tls
    assoc.set_socket(sock)
    _call(assoc, remote.aet, address)
    _introduce(assoc, ae, local)
    _propose(assoc, contexts, scp_roles)
    for event, handler in handlers:
        assoc.bind(event, handler)
    try:
        if opening is not None:
            opening(assoc)
    except PacsUnreachableError:
        sock.dispose()
        raise
    assoc.request()
    if not assoc.is_established:
        if sock.failure is not None:
            raise PacsUnreachableError(f"{remote}: {tls_refusal(sock.failure)}")
        raise _why_not(assoc, remote)
    # Its own thread is not started: all that it does for a requestor is to wait for an abort,
    # and pynetdicom's way to pause it lets it take (and drop) an answer now and then.
    assoc._is_paused = True
    return assoc


def _resolved(remote: DimseRemote) -> AddressInformation:
    try:
        return AddressInformation.from_addr_port(remote.host, remote.port)
    except OSError as error:
        raise PacsUnreachableError(f"cannot resolve the host of {remote}: check it") from error


def _tls_of(remote: DimseRemote) -> tuple[ssl.SSLContext, str] | None:
    """What the connection is made safe with, and the name that its certificate must have."""
    try:
        return None if remote.tls is None else (remote.tls(), remote.tls_name or remote.host)
    except StateError as error:
        raise PacsUnreachableError(f"{remote}: {error}") from error


def _call(assoc: Association, aet: str, address: AddressInformation) -> None:
    """Say whom the association is to."""
    assoc.acceptor.ae_title = aet
    assoc.acceptor.address_info = address


def _introduce(assoc: Association, ae: AE, local: AddressInformation) -> None:
    """Say who we are, and what we take."""
    assoc.requestor.address_info = local
    assoc.requestor.ae_title = ae.ae_title
    assoc.requestor.maximum_length = assoc.tuning.pdu_bytes
    assoc.requestor.implementation_class_uid = ae.implementation_class_uid
    assoc.requestor.implementation_version_name = ae.implementation_version_name


def _propose(
    assoc: Association, contexts: Sequence[tuple[str, Sequence[str]]], scp_roles: Collection[str]
) -> None:
    """Say what the association is for: presentation contexts, and what may be sent to us."""
    assoc.requestor.requested_contexts = [
        _context(number, *context) for number, context in enumerate(contexts)
    ]
    for sop_class in scp_roles:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = UID(sop_class)
        role.scu_role, role.scp_role = False, True
        assoc.requestor.add_negotiation_item(role)


_REJECTIONS: Final[Mapping[object, str]] = {
    (1, 2): "does not know such services: check its port",
    (1, 3): "does not know our AE title: register it there",
    (1, 7): "has another AE title: check it in its address",
}
"""By source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""


def tls_refusal(error: ssl.SSLError) -> str:
    """Why there is no TLS with a peer, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return "its certificate has another name: give that name (tls_name)"
        return f"its certificate is not trusted ({error.verify_message}): check the authorities"
    reason = str(error.reason or "").replace("_", " ").lower()
    if "wrong version" in reason or "http request" in reason:
        return "does not speak TLS there: check its port"
    return f"no TLS with it ({reason or 'broken off'}): check the certificates of both"


_OTHER_NAME: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""


def _why_not(assoc: _Association, remote: DimseRemote) -> PacsError:
    """Why an association does not stand."""
    if assoc.rejected_contexts:
        # Several fail together, as pynetdicom aborts an association without an accepted context.
        pair = assoc.requestor.requested_contexts[0]
        refused = refusal((str(pair.abstract_syntax), str(pair.transfer_syntax[0])))
        return PacsRefusedError(f"{remote}: {refused}")
    answer = assoc.acceptor.primitive
    if assoc.is_rejected and answer is not None and answer.result == _REJECTED_TRANSIENT:
        return PacsBusyError(f"{remote} is busy: try again later")
    if not assoc.is_rejected or answer is None:
        verdict = "cannot be reached: does it run at this address?"
        return PacsUnreachableError(f"{remote} {verdict}")
    reason = answer.result_source, answer.diagnostic
    verdict = _REJECTIONS.get(reason, "rejects our association: check the AE titles")
    return PacsUnreachableError(f"{remote} {verdict}")


def _context(number: int, sop_class: str, syntaxes: Sequence[str]) -> PresentationContext:
    context = PresentationContext()
    context.context_id = 2 * number + 1
    context.abstract_syntax = UID(sop_class)
    context.transfer_syntax = [UID(syntax) for syntax in syntaxes]
    return context


def accepted_pairs(assoc: _Association) -> set[tuple[str, str]]:
    """(SOP Class, transfer syntax) pairs that we may send on this association."""
    return {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in assoc.accepted_contexts
        if context.as_scu
    }


def send_instance(
    assoc: _Association,
    instance: EncodedInstance,
    message_id: int,
    originator: tuple[str, int] | None = None,
) -> int | None:
    """Store one instance on the peer: its bytes, untouched, in their own transfer syntax.

    Args:
        assoc: one that `associate` opened, or in the thread of one that we accepted.
        instance: what to send.
        message_id: 1 to 65,535.
        originator: AE title and message id of the C-MOVE that this is part of.

    Returns:
        The C-STORE status of the peer; None if it did not accept this SOP Class in this
        transfer syntax, or if the instance cannot be sent at all.

    Raises:
        PacsUnreachableError: the association ended.
    """
    context_id = next(
        (
            context.context_id
            for context in assoc.accepted_contexts
            if context.as_scu
            and context.abstract_syntax == instance.sop_class_uid
            and context.transfer_syntax[0] == instance.transfer_syntax_uid
        ),
        None,
    )
    if context_id is None or not instance.data:
        return None
    request = C_STORE()
    try:
        request.MessageID = message_id
        request.AffectedSOPClassUID = UID(instance.sop_class_uid)
        request.AffectedSOPInstanceUID = UID(instance.sop_instance_uid)
    except ValueError:  # longer than 64 characters: no DIMSE message can carry it
        return None
    request.Priority = 0
    request.DataSet = BytesIO(instance.data)
    if originator is not None:
        request.MoveOriginatorApplicationEntityTitle = originator[0]
        request.MoveOriginatorMessageID = originator[1]
    if has_ended(assoc):
        raise PacsUnreachableError(f"{remote_of(assoc)} has ended the association")
    assoc.dimse.send_msg(request, context_id)
    _, answer = assoc.dimse.get_msg(block=True)
    if not isinstance(answer, C_STORE) or answer.Status is None:
        raise PacsUnreachableError(f"{remote_of(assoc)} ended the association while receiving")
    return answer.Status


def has_ended(assoc: _Association) -> bool:
    """Whether an association is over, or about to be."""
    ending = assoc.dul.peek_next_pdu() is not None
    return ending or not assoc.is_established or not assoc.dul.is_alive()


def release(assoc: _Association) -> None:
    """End an association in order, unless it has ended."""
    if not has_ended(assoc):
        assoc.release()


def hang_up(assoc: _Association) -> None:
    """End an association at once, whatever its threads wait for; from any other thread."""
    sock = assoc.dul.socket
    if isinstance(sock, BoundedSocket) and not sock._ready.is_set():
        # Not connected yet: an abort has no place in the reactor's state machine and would
        # kill it before it lets go of whoever waits for the connection.
        assoc._sent_abort = True
        assoc.dul._kill_thread = True
        sock._ready.set()
    assoc.abort(block=False)
    if assoc.dul.ident is not None:
        assoc.dul.join(_FAREWELL_SECONDS)
    sock = assoc.dul.socket
    if isinstance(sock, BoundedSocket):
        sock.shut()
    # Whoever negotiates or waits for a message wakes; twice, as the reactor may take one.
    assoc.dul.to_user_queue.put(A_P_ABORT())
    assoc.kill()
    if assoc.ident is not None:
        assoc.join(_FAREWELL_SECONDS)
    assoc.dimse.msg_queue.put((None, None))
    assoc.dimse.msg_queue.put((None, None))
