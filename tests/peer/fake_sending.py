"""Studies that are sent, as far as a test wants them: a real spool, and nobody who publishes."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import trio
from attrs import define, field

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.identity.directory import Directory
from p2pacs.ids import StudyId
from peer.ingest.addressing import StudyAddressing
from peer.ingest.intake import take
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_state import Attempt
from peer.spool.records import SpooledStudy, StudyCommitment
from peer.spool.spool import Spool
from tests.peer.ingest.bench import ADDRESS, NORTH, SOUTH, FakeBroker


@define
class FakeOutgoing:
    """Satisfies `peer.ingest.outgoing_desk.StudiesGoOut`."""

    quiet: float = 0.0
    attempts: dict[str, Attempt] = field(factory=dict)
    looked: list[str] = field(factory=list)
    stopped: list[str] = field(factory=list)

    def attempt(self, uid: str) -> Attempt:
        return self.attempts.get(uid, Attempt())

    def anew(self, study: SpooledStudy) -> None:
        self.looked.append(study.uid)

    async def stop(self, uid: str) -> None:
        await trio.lowlevel.checkpoint()
        self.stopped.append(uid)


@define
class FakeSending:
    """A desk, and what is behind it."""

    spool: Spool
    outgoing: FakeOutgoing = field(factory=FakeOutgoing)
    linked: bool = True
    notes: list[tuple[str, str, str]] = field(factory=list)
    commitments: dict[str, list[StudyCommitment]] = field(factory=dict)

    @property
    def addressing(self) -> StudyAddressing:
        """Nobody asks the broker."""
        directory = lambda: Directory(1, 0, (NORTH, SOUTH))  # noqa: E731
        return StudyAddressing(self.spool.index, (), FakeBroker().ask, directory, me=ADDRESS)

    @property
    def desk(self) -> OutgoingDesk:
        return OutgoingDesk(
            self.spool,
            self.outgoing,
            self.addressing,
            lambda: self.linked,
            self._note,
            self._committed,
        )

    async def _committed(self, _uids: Sequence[str]) -> dict[str, list[StudyCommitment]]:
        await trio.lowlevel.checkpoint()
        return self.commitments

    async def _note(self, actor: str, what: str, detail: str) -> None:
        await trio.lowlevel.checkpoint()
        self.notes.append((actor, what, detail))


@contextmanager
def sending(folder: Path) -> Iterator[FakeSending]:
    """A spool that is empty."""
    folder.mkdir()
    with closing(Spool(folder, reserve=0)) as spool:
        yield FakeSending(spool)


def arrived(spool: Spool, instances: Sequence[EncodedInstance], caller: str = "CT1") -> int:
    """A scanner has stored these; by which number their study is named."""
    for one in instances:
        take(spool, one, caller)
    return max(spool.index.list_studies(), key=lambda one: one.newest).number


def stored(spool: Spool, uid: str) -> None:
    """A study is in the PACS."""
    study = spool.index.study(uid)
    assert study is not None
    spool.index.admitted(uid, StudyId(bytes([study.number % 256] * 16)))
    spool.index.version_out(uid, 1)
    spool.index.all_out(uid, study.newest)
    spool.safe(uid, study.newest)
