"""The first instance of a study is coded while the broker is asked for leave to publish it.

Nothing can be sealed without the study's key, but coding needs none. The line of a hospital that
sends waits for its first version, and both took about as long one after the other (0.1 to 0.2 s).
"""

from __future__ import annotations

from typing import Final

import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsDataError
from p2pacs.limits import MIB
from p2pacs.publish.coder import Coder
from p2pacs.study.coding import CodedInstance

AHEAD_BYTES: Final = 4 * MIB
"""A larger one takes longer to code than a broker to answer, and would lie here beside the budget
of what is published."""


class CodedAhead:
    """A `Coder` that may have coded one instance before it is asked."""

    def __init__(self, coder: Coder) -> None:
        """Nothing is coded yet.

        Args:
            coder: does it.
        """
        self._coder = coder
        self._instance: EncodedInstance | None = None
        self._coded: CodedInstance | None = None
        self._over = trio.Event()

    async def begin(self, instance: EncodedInstance) -> None:
        """Code this one; once. What is wrong with it is said to whoever asks for it."""
        self._instance = instance
        try:
            self._coded = await self._coder(instance)
        except PacsDataError:
            self._instance = None
        finally:
            self._over.set()

    async def __call__(self, instance: EncodedInstance) -> CodedInstance:
        """The instance, coded.

        Raises:
            BrokenInstanceError: it is not usable.
        """
        first = self._instance
        if first is not None and first.sop_instance_uid == instance.sop_instance_uid:
            await self._over.wait()
            coded, self._instance, self._coded = self._coded, None, None
            if coded is not None and first == instance:
                return coded
        return await self._coder(instance)
