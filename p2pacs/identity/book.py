"""The directory that this member goes by: verified, on disk, and never going back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from p2pacs.errors import DirectoryError, LocalError, StateError
from p2pacs.files.private_files import write_private
from p2pacs.identity import files
from p2pacs.identity.directory import Directory, load_directory
from p2pacs.identity.keys import KEY_BYTES, BrokerKeys, VerifyKey

FILE: Final = "directory"
"""Name of the file in a member's identity folder."""

KEYS: Final = "broker-keys"
"""Beside it, where there are several brokers: what they sign with. Another than the one that
admitted this member may have signed the directory."""

log = structlog.get_logger(__name__)

Subscriber = Callable[[Directory], None]


class DirectoryBook:
    """The newest member directory seen.

    Attributes:
        directory: the verified directory; version 0 without members before the first.
        raw: its signed bytes, to be passed on; empty before the first.
        keys: what the brokers sign with: the one that this member was admitted by, and those
            that the directory names.
    """

    def __init__(self, path: Path, verify_key: VerifyKey) -> None:
        self._path = path
        self._pinned = verify_key
        self.keys = BrokerKeys(verify_key, *_kept(path.with_name(KEYS)))
        self._kept_keys = self.keys.keys
        self._listeners: list[Subscriber] = []
        self.raw = b""
        self._kept = True
        self.directory = Directory(version=0, epoch=0, members=())
        if path.exists():
            self.raw = files.read_file(path, "the member directory")
            try:
                self._go_by(load_directory(self.raw, self.keys))
            except DirectoryError as error:
                raise StateError(f"{path} is damaged ({error}); join again") from error

    def _go_by(self, directory: Directory) -> None:
        self.directory = directory
        self.keys.keys = self._keys_of(directory)

    def _keys_of(self, directory: Directory) -> tuple[VerifyKey, ...]:
        named = (VerifyKey(one.signing_key) for one in directory.broker_keys)
        return BrokerKeys(self._pinned, *named).keys

    def update(self, raw: bytes) -> bool:
        """Go by these signed bytes if they are newer than what is held; whether they were.

        Once kept on disk (so that a revocation outlives a power cut), listeners are told. Where the
        disk is full they are told all the same, and it is kept when these bytes come again: after a
        restart before that, this member is told anew of a directory that it does not know.

        Raises:
            DirectoryError: not by the broker, or contradicting what is held.
        """
        if raw == self.raw:
            if not self._kept:
                self._keep()
            return False
        new, old = load_directory(raw, self.keys), self.directory
        if new.version < old.version:
            return False
        if new.version == old.version and old.version > 0:
            raise DirectoryError(f"two member directories of version {new.version}")
        if new.epoch < old.epoch:
            raise DirectoryError("a newer member directory takes back a revocation's epoch")
        self.raw = raw
        self._go_by(new)
        self._keep()
        for listener in tuple(self._listeners):
            listener(new)
        return True

    def _keep(self) -> None:
        try:
            if (keys := self.keys.keys) != self._kept_keys:  # first: they open what comes next
                write_private(self._path.with_name(KEYS), b"".join(map(bytes, keys)))
                self._kept_keys = keys
            write_private(self._path, self.raw)
        except LocalError as error:
            log.warning("the member directory is not kept", error=str(error))
            self._kept = False
        else:
            self._kept = True

    def subscribe(self, listener: Subscriber) -> Callable[[], None]:
        """Call ``listener`` with every newer directory, at once and in the caller's task.

        Returns:
            A function that ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def _kept(path: Path) -> list[VerifyKey]:
    if not path.exists():
        return []
    raw = files.read_file(path, "the brokers' keys")
    if len(raw) % KEY_BYTES:
        raise StateError(f"{path} is damaged; join again")
    return [VerifyKey(raw[at : at + KEY_BYTES]) for at in range(0, len(raw), KEY_BYTES)]
