"""The embedded PACS's storage: Part 10 files by hashed names, indexed in memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final

import structlog
from attrs import field, frozen

from p2pacs.archive.instance_file import ArchivedFile, open_instance
from p2pacs.catalogue.question import Selection
from p2pacs.catalogue.records import StudyRecord, assemble
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.header import read_header, read_large_header
from p2pacs.dataset.incoming import InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, entry, number, text
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.vocabulary import HEADER_TAGS, tag
from p2pacs.dimse.association.contexts import Pair
from p2pacs.dimse.backend import MissingInstances
from p2pacs.errors import BrokenInstanceError
from p2pacs.ids import StudyId

log = structlog.get_logger(__name__)

_SECRET: Final = b"p2pacs archive"  # ids of the archive's studies never leave it


@frozen
class Held:
    """One stored instance."""

    path: Path
    pair: Pair
    attributes: Json = field(repr=False)

    @property
    def order(self) -> tuple[str, str, int]:
        """By study and series, then as numbered."""
        attributes = self.attributes
        return (
            text(attributes, "StudyInstanceUID"),
            text(attributes, "SeriesInstanceUID"),
            number(attributes, "InstanceNumber") or 0,
        )


class ArchiveFolder:
    """Instances in a folder; one process owns it. Threads may use it at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._studies: dict[str, set[str]] = {}
        self._numbers = count()
        for path in sorted(folder.glob("*.dcm")):
            self._index_file(path)

    def __len__(self) -> int:
        return len(self._held)

    def put(self, instance: EncodedInstance) -> None:
        """Store an instance, in place of one with the same SOP Instance UID.

        Raises:
            BrokenInstanceError: cannot be read, or without the UIDs that it is found by.
            DiskFullError: no room left.
        """
        with closing(self.incoming(InstanceUids.of(instance))) as coming:
            coming.write(instance.data)
            coming.keep()

    def incoming(self, uids: InstanceUids) -> ArchivedFile:
        """Begin to store one; see `put`.

        Raises:
            DiskFullError: no room left.
        """
        with self._lock:
            number = next(self._numbers)
        name = hashlib.sha256(uids.instance.encode()).hexdigest()[:32]
        return ArchivedFile(self._folder / f"{name}.{number}.part", uids, self._keep)

    def _keep(self, partial: Path, instance: EncodedInstance | LargeInstance) -> None:
        attributes = attributes_of(instance)
        path = partial.with_name(f"{partial.name.partition('.')[0]}.dcm")
        partial.replace(path)
        pair = (instance.sop_class_uid, instance.transfer_syntax_uid)
        self._add(path, instance.sop_instance_uid, pair, attributes)

    def records(self) -> Iterator[StudyRecord]:
        """Every study as C-FIND sees it."""
        with self._lock:
            studies = {
                uid: [self._held[name] for name in names] for uid, names in self._studies.items()
            }
        for uid, members in studies.items():
            members.sort(key=lambda held: held.order)
            study = StudyId.derive(_SECRET, uid)
            yield assemble(study, (held.attributes for held in members))

    def select(self, selection: Selection) -> list[Held]:
        """The instances that a retrieval names, in order."""
        with self._lock:
            held = list(self._held.values())
        wanted = {
            "PatientID": selection.patients,
            "StudyInstanceUID": selection.studies,
            "SeriesInstanceUID": selection.series,
            "SOPInstanceUID": selection.instances,
        }
        chosen = [
            one
            for one in held
            if all(
                not uids or text(one.attributes, keyword) in uids
                for keyword, uids in wanted.items()
            )
        ]
        return sorted(chosen, key=lambda one: one.order)

    def _index_file(self, path: Path) -> None:
        try:
            instance = open_instance(path)
            attributes = attributes_of(instance)
        except (OSError, BrokenInstanceError) as error:
            log.warning("file left out of the archive", file=path.name, error=type(error).__name__)
            return
        pair = (instance.sop_class_uid, instance.transfer_syntax_uid)
        self._add(path, instance.sop_instance_uid, pair, attributes)

    def _add(self, path: Path, uid: str, pair: Pair, attributes: Json) -> None:
        with self._lock:
            before = self._held.get(uid)
            if before is not None:
                self._forget(uid, before)
            self._held[uid] = Held(path, pair, attributes)
            self._studies.setdefault(text(attributes, "StudyInstanceUID"), set()).add(uid)

    def _forget(self, uid: str, held: Held) -> None:
        study = text(held.attributes, "StudyInstanceUID")
        self._studies[study].discard(uid)
        if not self._studies[study]:
            del self._studies[study]


def read(held: Iterable[Held]) -> Iterator[EncodedInstance | LargeInstance | MissingInstances]:
    """The instances themselves, one file at a time; one that cannot be read keeps none back."""
    for one in held:
        try:
            yield open_instance(one.path)
        except OSError as error:
            log.warning(
                "a file of the archive cannot be read", file=one.path.name, why=error.strerror
            )
            uid = text(one.attributes, "SOPInstanceUID")
            yield MissingInstances("the file of an instance cannot be read", (uid,))
        except BrokenInstanceError as error:
            log.warning("a file of the archive is broken", file=one.path.name, why=str(error))
            uid = text(one.attributes, "SOPInstanceUID")
            yield MissingInstances("the file of an instance is broken", (uid,))


def attributes_of(instance: EncodedInstance | LargeInstance) -> Json:
    """What C-FIND tells of an instance.

    Raises:
        BrokenInstanceError: cannot be read, or without the UIDs that it is found by.
    """
    syntax = instance.transfer_syntax_uid
    if isinstance(instance, EncodedInstance):
        header = read_header(instance.data, syntax)
    else:
        header = read_large_header(instance.read, instance.size, syntax)
    if header is None:
        raise BrokenInstanceError("an instance that cannot be read as DICOM")
    found = from_dataset(header.elements, HEADER_TAGS)
    if not (text(found, "StudyInstanceUID") and text(found, "SeriesInstanceUID")):
        raise BrokenInstanceError("an instance without Study or Series Instance UID")
    return found | {
        tag("SOPInstanceUID"): entry("UI", instance.sop_instance_uid),
        tag("SOPClassUID"): entry("UI", instance.sop_class_uid),
        tag("AvailableTransferSyntaxUID"): entry("UI", instance.transfer_syntax_uid),
    }
