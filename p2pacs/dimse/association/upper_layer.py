"""The service providers of an association (PS3.8 Upper Layer, PS3.7 DIMSE): what of pynetdicom 3.0
we replace.

Why this is needed (each has a test that fails when pynetdicom changes it): its reactor leaves a
connection open where the peer has reset it, and those who wait for a message waiting; messages
received have no bound; silence counts from the start of a wait, and not from the last byte.
"""

from __future__ import annotations

import queue
import time
from typing import Any

from pynetdicom import _config
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT, P_DATA

from p2pacs import limits
from p2pacs.dimse.association.bounded_socket import BoundedSocket

# Its standard handlers format every PDU and message, and log identifiers: patient data.
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False


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

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Add a fragment; a message beyond its cap ends the association."""
        super().receive_primitive(primitive)
        message = self.message
        if message is None:
            return
        held = message.encoded_command_set.tell()
        cap = self.largest_message
        if message.data_set is not None and message.data_set.tell():
            held = message.data_set.tell()
            cap = self.largest_data_set if isinstance(message, C_STORE_RQ) else cap
        if held > cap:
            self.dul.event_queue.put("Evt19")

    def get_msg(self, block: bool = False) -> Any:
        """The next message; with ``block`` as long as the line is not silent.

        pynetdicom counts from the start of the wait, so one large instance on a slow line
        would run into the deadline while it is arriving.
        """
        if not block or self.dimse_timeout is None:
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
