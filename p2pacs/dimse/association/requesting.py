"""Opening an association, and why one does not stand."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Sequence
from typing import Final

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association as _Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from p2pacs.dimse.association.association import Association, Handlers
from p2pacs.dimse.association.bounded_socket import BoundedSocket
from p2pacs.dimse.association.contexts import refusal
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.errors import (
    PacsBusyError,
    PacsError,
    PacsRefusedError,
    PacsUnreachableError,
    StateError,
)
from p2pacs.phrases import Phrase

_REJECTED_TRANSIENT: Final = 0x02
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""


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
        raise _why_not(assoc, remote, connected=sock.connected)
    # Its own thread is not started: all that it does for a requestor is to wait for an abort,
    # and pynetdicom's way to pause it lets it take (and drop) an answer now and then.
    assoc._is_paused = True
    return assoc


def _resolved(remote: DimseRemote) -> AddressInformation:
    try:
        return AddressInformation.from_addr_port(remote.host, remote.port)
    except OSError as error:
        why = Phrase("the host of %(pacs)s has no address: check its name", pacs=remote)
        raise PacsUnreachableError(why) from error


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


def _rejection(remote: DimseRemote, reason: object) -> Phrase:
    """What an A-ASSOCIATE-RJ means, by its source and reason (PS3.8 9.3.4)."""
    match reason:
        case (1, 2):
            return Phrase("%(pacs)s does not know such services: check its port", pacs=remote)
        case (1, 3):
            return Phrase("%(pacs)s does not know our AE title: register it there", pacs=remote)
        case (1, 7):
            return Phrase("%(pacs)s has another AE title: check it in its address", pacs=remote)
    return Phrase("%(pacs)s rejects our association: check the AE titles", pacs=remote)


def _silence(remote: DimseRemote, *, connected: bool) -> Phrase:
    """Nothing came. With a connection it is not a DICOM program, or one that wants TLS, or one
    that hangs up on strangers."""
    if connected:
        return Phrase(
            "%(pacs)s takes the connection and does not answer: check its port, and whether it"
            " lets this machine in",
            pacs=remote,
        )
    return Phrase("%(pacs)s cannot be reached: does it run at this address?", pacs=remote)


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


def _why_not(assoc: _Association, remote: DimseRemote, *, connected: bool) -> PacsError:
    """Why an association does not stand, where a connection did (or not)."""
    if assoc.rejected_contexts:
        # Several fail together, as pynetdicom aborts an association without an accepted context.
        pair = assoc.requestor.requested_contexts[0]
        refused = refusal((str(pair.abstract_syntax), str(pair.transfer_syntax[0])))
        return PacsRefusedError(f"{remote}: {refused}")
    answer = assoc.acceptor.primitive
    if assoc.is_rejected and answer is not None and answer.result == _REJECTED_TRANSIENT:
        return PacsBusyError(Phrase("%(pacs)s is busy: try again later", pacs=remote))
    if not assoc.is_rejected or answer is None:
        return PacsUnreachableError(_silence(remote, connected=connected))
    reason = answer.result_source, answer.diagnostic
    return PacsUnreachableError(_rejection(remote, reason))


def _context(number: int, sop_class: str, syntaxes: Sequence[str]) -> PresentationContext:
    context = PresentationContext()
    context.context_id = 2 * number + 1
    context.abstract_syntax = UID(sop_class)
    context.transfer_syntax = [UID(syntax) for syntax in syntaxes]
    return context
