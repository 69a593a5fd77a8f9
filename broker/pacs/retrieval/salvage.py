"""What one retrieval did not give, asked for again in smaller ones: what can be had, comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog
from attrs import frozen

from broker.pacs.adapter import CENTRAL
from broker.pacs.retrieval.stream import Put
from p2pacs.errors import DeadlineError, P2PacsError, PacsDataError, PacsError, StudyNotFoundError
from p2pacs.publish.source import FailedInstance, Retrieved

log = structlog.get_logger(__name__)

AskSome = Callable[[Sequence[str], Put], Awaitable[None]]
"""Retrieves these SOP Instance UIDs; raises what went wrong after the last that came."""


@frozen
class SalvageTuning:
    """How much trouble is taken."""

    hangs: int = 3
    """Requests that may end by their deadline, each after a minute; the next one is not made."""
    hopeless: int = 20
    """Instances that fail alone, one after the other: the rest counts as failed without asking."""


class Taken:
    """Passes on what comes, and knows what came."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self.uids: set[str] = set()
        """SOP Instance UIDs that came, or that are known to be not usable."""
        self.usable = 0
        """Instances that came."""

    def missing(self, uids: Iterable[str]) -> list[str]:
        """Those of these SOP Instance UIDs that did not come."""
        return [uid for uid in uids if uid not in self.uids]

    async def put(self, item: Retrieved) -> None:
        """Pass it on, unless it was passed on before."""
        if isinstance(item, FailedInstance):
            uid = item.uid
        else:
            uid = item.sop_instance_uid
            self.usable += 1
        if uid is not None:
            self.uids.add(uid)
        await self._put(item)


async def salvage(
    uids: Sequence[str],
    taken: Taken,
    ask: AskSome,
    alive: Callable[[], Awaitable[None]],
    *,
    most: int,
    tuning: SalvageTuning = SalvageTuning(),
) -> None:
    """Ask for these instances, in halves where a request fails, down to each alone.

    One that does not come alone is a `FailedInstance`.

    Args:
        uids: SOP Instance UIDs; what was taken already is not asked for.
        taken: gets what comes.
        ask: one request.
        alive: raises if the PACS is away: then nothing more is asked for.
        most: instances in one request.

    Raises:
        PacsError, DeadlineError: the PACS is away, or hangs again and again.
    """
    stack = [list(uids[at : at + most]) for at in range(0, len(uids), most)][::-1]
    failed, hung = 0, 0
    while stack:
        chunk = taken.missing(stack.pop())
        if not chunk:
            continue
        error = await _attempt(chunk, taken, ask, alive)
        left = taken.missing(chunk)
        hung += isinstance(error, DeadlineError)
        if hung >= tuning.hangs:
            raise error
        if len(left) < len(chunk):
            failed = 0
        if len(chunk) > 1:
            middle = (len(left) + 1) // 2
            stack += [half for half in (left[middle:], left[:middle]) if half]
        elif left:
            await taken.put(FailedInstance(error, *left))
            failed += 1
        if failed >= tuning.hopeless:
            break
    rest = taken.missing([uid for chunk in stack for uid in chunk])
    if rest:
        log.warning("no instance comes any more", left=len(rest), why=str(error))
    for uid in rest:
        await taken.put(FailedInstance(error, uid))


async def _attempt(
    chunk: Sequence[str], taken: Taken, ask: AskSome, alive: Callable[[], Awaitable[None]]
) -> P2PacsError:
    """One request; why what did not come did not."""
    try:
        await ask(chunk, taken.put)
    except (PacsError, DeadlineError, StudyNotFoundError) as error:
        await alive()
        return error
    return PacsDataError(f"{CENTRAL} lists it and does not send it")
