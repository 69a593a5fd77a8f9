"""Sends instances to a store SCP, and opens the associations that they need; in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Final

import structlog
from pydicom import uid
from pynetdicom import AE

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dimse.association.association import Association, has_ended, release
from p2pacs.dimse.association.contexts import Pair, propose_sending
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.association.store_request import accepted_pairs, send_instance
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.errors import PacsBusyError, PacsRefusedError

log = structlog.get_logger(__name__)

SUCCESS: Final = 0x0000


class InstanceSender:
    """One C-STORE after the other to one application entity.

    The first association proposes what is known to come; an instance of a pair
    that was not foreseen gets a new association.
    """

    def __init__(
        self,
        ae: AE,
        remote: DimseRemote,
        *,
        known: Callable[[], Collection[Pair]],
        originator: tuple[str, int] | None = None,
        opening: Callable[[Association], None] | None = None,
        targets: Sequence[str] = (),
        tuning: DimseTuning = TUNING,
    ) -> None:
        """A sender; nothing is opened yet.

        Args:
            ae: our application entity.
            remote: the receiver.
            known: pairs that are to come.
            originator: AE title and message id of the C-MOVE that this is part of.
            opening: gets each association before it is opened.
            targets: transfer syntaxes that may be converted to: offered beside what is stored.
            tuning: deadlines and bounds.
        """
        self._ae = ae
        self._remote = remote
        self._known = known
        self._originator = originator
        self._opening = opening
        self._targets = targets
        self._tuning = tuning
        self.reached = False
        """Whether an association was ever open."""
        self._assoc: Association | None = None
        self._proposed: set[Pair] = set()
        self._refused: set[Pair] = set()
        self._numbers = count()

    def accepted(self, pair: Pair) -> Collection[Pair]:
        """What the peer accepts, once it was asked for this pair.

        Raises:
            PacsUnreachableError: no association.
        """
        assoc = None if pair in self._refused else self._association(pair)
        if assoc is None:  # it is not asked again
            self._refused.add(pair)
            return ()
        return accepted_pairs(assoc)

    def send(self, instance: EncodedInstance | LargeInstance) -> int | None:
        """Send one instance.

        Returns:
            The status of the peer; None if it does not accept this SOP Class in this
            transfer syntax.

        Raises:
            PacsUnreachableError: no association, or it ended.
        """
        pair = (instance.sop_class_uid, instance.transfer_syntax_uid)
        assoc = None if pair in self._refused else self._association(pair)
        if assoc is None or pair not in accepted_pairs(assoc):
            self._refuse(pair)
            return None
        number = next(self._numbers) % 0xFFFF + 1
        return send_instance(assoc, instance, number, self._originator)

    def _association(self, pair: Pair) -> Association | None:
        """One that proposes a pair; None if of all that is proposed none is accepted."""
        assoc = self._assoc
        if assoc is not None and pair in self._proposed and not has_ended(assoc):
            return assoc
        self.close()
        contexts = propose_sending(pair, [*self._proposed, *self._known()], self._targets)
        self._proposed = {(sop_class, syntaxes[0]) for sop_class, syntaxes in contexts}
        try:
            self._assoc = self._open(contexts)
            self.reached = True
        except PacsRefusedError:
            return None
        return self._assoc

    def _open(self, contexts: list[tuple[str, list[str]]]) -> Association:
        """An association; asked for again where it is rejected for the moment only."""
        for pause in self._tuning.busy:
            try:
                return self._associate(contexts)
            except PacsBusyError as error:
                log.info("destination is busy, trying again", error=str(error), seconds=pause)
            time.sleep(pause)
        return self._associate(contexts)

    def _associate(self, contexts: list[tuple[str, list[str]]]) -> Association:
        return associate(
            self._ae, self._remote, contexts, opening=self._opening, tuning=self._tuning
        )

    def _refuse(self, pair: Pair) -> None:
        if pair not in self._refused:
            self._refused.add(pair)
            log.warning(
                "destination does not accept the stored transfer syntax: no conversion is set",
                remote=str(self._remote),
                sop_class=uid.UID(pair[0]).name,
                transfer_syntax=uid.UID(pair[1]).name,
            )

    def close(self) -> None:
        """End the association in order."""
        assoc, self._assoc = self._assoc, None
        if assoc is not None:
            release(assoc)
