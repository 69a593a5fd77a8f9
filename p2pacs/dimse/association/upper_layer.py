"""The service providers of an association (PS3.8 Upper Layer, PS3.7 DIMSE): what of pynetdicom 3.0
we replace.

Why this is needed (each has a test that fails when pynetdicom changes it): its reactor leaves a
connection open where the peer has reset it, and those who wait for a message waiting; messages
received have no bound, and are in memory as a whole; silence counts from the start of a wait, and
not from the last byte.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pynetdicom import _config
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, N_ACTION_RQ, N_EVENT_REPORT_RQ
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT, P_DATA

from p2pacs import limits
from p2pacs.dataset.incoming import InstanceUids
from p2pacs.dimse.association.bounded_socket import BoundedSocket
from p2pacs.dimse.association.received import Receive, ReceivedDataSet

# Its standard handlers format every PDU and message, and log identifiers: patient data.
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False


_LAST_OF_DATA_SET: Final = b"\x02"
"""Message Control Header (PS3.8 E.2) of the last fragment of a data set, and nothing of it."""


def _nothing() -> None:
    return


class Reactor(DULServiceProvider):
    """pynetdicom's lower thread of an association, which closes what it read from at its end.

    pynetdicom closes a connection only if it could be shut down in order, which fails where
    the peer has reset it; and it knows nothing of the pipe that wakes us.
    """

    def run_reactor(self) -> None:
        """As pynetdicom's; however it ends, the connection is closed."""
        try:
            super().run_reactor()
        except InvalidEventError:  # pynetdicom would leave those who wait for a message waiting
            self.to_user_queue.put(A_P_ABORT())
            self.assoc.dimse.msg_queue.put((None, None))
        finally:
            sock = self.socket
            if isinstance(sock, BoundedSocket):
                sock.dispose()
            if self.assoc.is_acceptor:
                # pynetdicom would wait for an A-ASSOCIATE-RQ as long as negotiation may take.
                self.to_user_queue.put(None)

    def receive_pdu(self, wait: bool = False, timeout: float | None = None) -> Any:
        """As pynetdicom's; who waits for an A-ASSOCIATE-RQ and gets an abort gets nothing: it would
        be taken for a request."""
        primitive = super().receive_pdu(wait, timeout)
        is_early = self.assoc.is_acceptor and not self.assoc.is_established
        return None if is_early and isinstance(primitive, A_ABORT | A_P_ABORT) else primitive


class Dimse(DIMSEServiceProvider):
    """pynetdicom's message queue with bounded messages and a deadline on silence only."""

    largest_data_set: int = limits.INSTANCE_BYTES
    largest_message: int = limits.DICOM_MESSAGE_BYTES
    idle: Callable[[], None] = staticmethod(_nothing)
    """Called in the thread that serves requests, while there is none."""
    receive: Receive | None = None
    """Who keeps instances while they come; None: they are gathered in memory."""

    _incoming: ReceivedDataSet | None = None
    """Of the message that is coming."""
    _dropping = False
    """Whether the rest of a message comes that was answered before its end."""

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Add a fragment; a message beyond its cap ends the association."""
        if self._dropping:
            self._dropping = not _ends_data_set(primitive)
            return
        super().receive_primitive(primitive)
        message = self.message
        if message is None:
            self._incoming = None
            return
        if self.receive is not None and isinstance(message, C_STORE_RQ):
            self._keep_coming(message, self.receive)
            return
        held = message.encoded_command_set.tell()
        cap = self.largest_message
        if message.data_set is not None and message.data_set.tell():
            held = message.data_set.tell()
            if isinstance(message, C_STORE_RQ):
                cap = self.largest_data_set
            elif isinstance(message, N_ACTION_RQ | N_EVENT_REPORT_RQ):
                cap = max(cap, limits.COMMITMENT_BYTES)
        if held > cap:
            self.dul.event_queue.put("Evt19")

    def _keep_coming(self, message: C_STORE_RQ, receive: Receive) -> None:
        """Have the data set kept while it comes; where it cannot be, say so now (an early failed
        response, PS3.7 9.1.1.3) and drop the rest."""
        if self._incoming is None:
            beginning = message.data_set.getvalue() if message.data_set is not None else b""
            self._incoming = ReceivedDataSet(self._told(message), receive, beginning)
            message.data_set = self._incoming
        elif self._incoming.error is not None:
            self._incoming, self._dropping = None, True
            end = P_DATA()
            end.presentation_data_value_list.append((message.context_id or 0, _LAST_OF_DATA_SET))
            super().receive_primitive(end)

    def _told(self, message: C_STORE_RQ) -> InstanceUids:
        command, context = message.command_set, self.assoc._accepted_cx.get(message.context_id or 0)
        return InstanceUids(
            str(command.get("AffectedSOPClassUID", "")),
            str(command.get("AffectedSOPInstanceUID", "")),
            str(context.transfer_syntax[0]) if context is not None else "",
        )

    def end(self) -> None:
        """The association is over: nothing stays of instances that nobody will keep."""
        if self.receive is None:
            return
        unserved: list[Any] = [self._incoming]
        with suppress(queue.Empty):
            while True:
                unserved.append(getattr(self.msg_queue.get_nowait()[1], "DataSet", None))
        for one in unserved:
            if isinstance(one, ReceivedDataSet):
                one.close()

    def get_msg(self, block: bool = False) -> Any:
        """The next message; with ``block`` as long as the line is not silent.

        pynetdicom counts from the start of the wait, so one large instance on a slow line
        would run into the deadline while it is arriving.
        """
        if not block:  # who serves requests looks for the next one
            found = super().get_msg(block)
            if found[1] is None:
                self.idle()
            return found
        if self.dimse_timeout is None:
            return super().get_msg(block)
        sock = self.dul.socket
        start = time.monotonic()
        while True:
            active = max(start, sock.last_activity) if isinstance(sock, BoundedSocket) else start
            left = active + self.dimse_timeout - time.monotonic()
            if left <= 0:
                return None, None
            try:
                return self.msg_queue.get(timeout=min(left, 1.0))
            except queue.Empty:
                continue


def _ends_data_set(primitive: P_DATA) -> bool:
    """Whether it has the last fragment of a data set."""
    return any(
        fragment[0] & 0x03 == _LAST_OF_DATA_SET[0]
        for _, fragment in primitive.presentation_data_value_list
    )
