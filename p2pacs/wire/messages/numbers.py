"""Numbers of studies: short names for what one side of a link joined, in the order of joining.

The two sides of a link number apart: the n-th study that A joins on this link is n in what A
says, counted from 0, for as long as the link lasts. Both count alike, because a link delivers
in order and nothing that needs a `Join` overtakes it.
"""

from __future__ import annotations

from p2pacs import limits
from p2pacs.errors import MalformedMessageError
from p2pacs.wire.messages.messages import NUMBERED, Join, Message


class Numbers:
    """What one side has joined."""

    def __init__(self) -> None:
        self._studies: list[bytes] = []
        self._numbers: dict[bytes, int] = {}

    def joined(self, message: Message) -> None:
        """Take note of a message that this side says: the first `Join` of a study numbers it."""
        if not isinstance(message, Join) or message.study in self._numbers:
            return
        if len(self._studies) < limits.NUMBERED_STUDIES:
            self._numbers[message.study] = len(self._studies)
            self._studies.append(message.study)

    def short(self, kind: type[Message], study: bytes) -> int | bytes:
        """How a study travels in a message of this kind."""
        return self._numbers.get(study, study) if kind in NUMBERED else study

    def study(self, kind: type[Message], value: object) -> object:
        """What a study that travelled is; not checked any further.

        Raises:
            MalformedMessageError: a number that no study has.
        """
        if type(value) is not int or kind not in NUMBERED:
            return value
        if not 0 <= value < len(self._studies):
            raise MalformedMessageError(f"{kind.__name__} names a study that was not joined")
        return self._studies[value]
