"""The responses to one C-MOVE or C-GET request (PS3.7 9.1.3, 9.1.4; PS3.4 C.4)."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext

from p2pacs.dimse.association.association import Association, has_ended, remote_of
from p2pacs.dimse.backend import Urgency
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.dimse.server.identifiers import decode_identifier


class RetrieveReply:
    """The responses to one C-MOVE or C-GET request."""

    def __init__(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        self.assoc = assoc
        self.tally = sub.SubOperationCounts()
        self.caller = str(assoc.requestor.ae_title).strip()
        self.model = str(context.abstract_syntax)
        self._request = request
        self._context_id = context.context_id or 0
        self._syntax = context.transfer_syntax[0]

    def identifier(self) -> Dataset:
        """What is asked for.

        Raises:
            UsageError: it is no data set.
        """
        return decode_identifier(self._request.Identifier, self._syntax)

    @property
    def urgency(self) -> Urgency:
        """How urgent the client says that it is."""
        return Urgency.of(self._request.Priority)

    @property
    def remote(self) -> str:
        """Where the request came from, for the log."""
        return remote_of(self.assoc)

    @property
    def cancelled(self) -> bool:
        """Whether the client has sent C-CANCEL."""
        return self._request.MessageID in self.assoc.dimse.cancel_req

    @property
    def gone(self) -> bool:
        """Whether the association has ended, or is about to."""
        return has_ended(self.assoc)

    def pending(self, remaining: int) -> None:
        """Report progress."""
        response = self._response(sub.PENDING)
        response.NumberOfRemainingSuboperations = sub.us(remaining)
        self._send(response)

    def final(self, status: int, *, remaining: int | None = None, comment: str = "") -> None:
        """End the operation.

        Args:
            status: of PS3.4 C.4.2.1.5.
            remaining: only for a cancelled one: sub-operations not begun.
            comment: without patient data.
        """
        response = self._response(status)
        if remaining is not None:
            response.NumberOfRemainingSuboperations = sub.us(remaining)
        if comment:
            response.ErrorComment = comment
        if self.tally.failed_uids:
            failed = Dataset()
            syntax = self._syntax
            failed.FailedSOPInstanceUIDList = sub.failed_list(
                self.tally.failed_uids, implicit=syntax.is_implicit_VR
            )
            encoded = encode(failed, syntax.is_implicit_VR, syntax.is_little_endian)
            if encoded is not None:
                response.Identifier = BytesIO(encoded)
        self._send(response)

    def _response(self, status: int) -> Any:
        response = type(self._request)()
        response.MessageIDBeingRespondedTo = self._request.MessageID
        response.AffectedSOPClassUID = self._request.AffectedSOPClassUID
        response.Status = status
        response.NumberOfCompletedSuboperations = sub.us(self.tally.completed)
        response.NumberOfFailedSuboperations = sub.us(self.tally.failed)
        response.NumberOfWarningSuboperations = sub.us(self.tally.warnings)
        return response

    def _send(self, response: Any) -> None:
        if not self.gone:
            self.assoc.dimse.send_msg(response, self._context_id)
