"""What a run of ``p2pacs send`` did."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from attrs import define, field

from p2pacs.errors import AccessError, ForbiddenError, P2PacsError, PacsDataError
from p2pacs.output.json_object import JsonObject

KEPT: Final = "kept"
KNOWN: Final = "known"
BESIDE: Final = "beside"
BROKEN: Final = "broken"
"""What the peer says of a file (`peer.api.outgoing`)."""


@define
class SendOutcome:
    """What a run did."""

    found: int = 0
    """DICOM files."""
    others: int = 0
    """Files in folders that are none."""
    counts: Counter[str] = field(factory=Counter)
    """Files by what became of them."""
    size: int = 0
    """Bytes of the files that were taken now."""
    seconds: float = 0.0
    beside: list[Path] = field(factory=list, repr=False)
    broken: list[Path] = field(factory=list, repr=False)
    refused: dict[Path, P2PacsError] = field(factory=dict, repr=False)
    done: set[Path] = field(factory=set, repr=False)
    studies: dict[str, JsonObject] = field(factory=dict, repr=False)
    """How far each is, by its Study Instance UID."""
    stopped: P2PacsError | None = None
    """Why it did not come to its end."""

    def add(self, path: Path, size: int, said: JsonObject) -> None:
        """The peer has a file on its disk."""
        outcome = said["outcome"]
        self.done.add(path)
        self.counts[outcome] += 1
        self.studies.setdefault(said["study_instance_uid"], {})
        if outcome == KEPT:
            self.size += size
        if outcome == BESIDE:
            self.beside.append(path)
        if outcome == BROKEN:
            self.broken.append(path)

    def refuse(self, path: Path, error: P2PacsError) -> None:
        """A file is not taken."""
        self.done.add(path)
        self.refused[path] = error

    def json(self) -> JsonObject:
        """The outcome as ``--json`` prints it."""
        return {
            "files": self.found,
            "others": self.others,
            **{name: self.counts[name] for name in (KEPT, KNOWN)},
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "beside": [str(path) for path in self.beside],
            "broken": [str(path) for path in self.broken],
            "refused": [
                {"file": str(path), "why": str(error)} for path, error in self.refused.items()
            ],
            "studies": [study for study in self.studies.values() if study],
        }

    def check(self) -> None:
        """Whether all that was found goes its way.

        Raises:
            ForbiddenError: the broker, or the peer, does not let it be sent.
            PacsDataError: files were not taken, are kept beside, or are broken.
            P2PacsError: why it stopped.
        """
        if self.stopped is not None:
            raise self.stopped
        for study in self.studies.values():
            if study.get("state") in ("refused", "cancelled"):
                raise ForbiddenError(f"a study is not sent: {study['why']}")
        if self.refused:
            all_access = all(isinstance(one, AccessError) for one in self.refused.values())
            kind = ForbiddenError if all_access else PacsDataError
            raise kind(
                f"{_files(len(self.refused), 'was', 'were')} not taken: the reasons are above"
            )
        said = []
        if self.beside:
            said.append(
                f"{_files(len(self.beside), 'is', 'are')} kept beside and not sent on: other bytes "
                "came before under the same UIDs; new images need UIDs of their own"
            )
        if self.broken:
            said.append(
                f"{_files(len(self.broken), 'is', 'are')} broken, kept, and not sent on: take them "
                "again from where they come from"
            )
        if said:
            raise PacsDataError("; ".join(said))


def _files(count: int, one: str, many: str) -> str:
    return f"one file {one}" if count == 1 else f"{count} files {many}"
