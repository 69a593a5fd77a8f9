"""The whole error tree, and what each error is to each outside world.

    P2PacsError
    ├── UsageError                    the operator asked for something that cannot be
    │   ├── SettingsError             a wrong key or value in the TOML file (names the line)
    │   ├── StateError                the folder is not initialised, or already is, or is locked
    │   ├── NotAcceptableError        there is no representation that the asker takes
    │   └── NotFoundError             no such member, transfer, …
    │       └── StudyNotFoundError    a study nobody has
    ├── AccessError                   who you are does not allow it
    │   ├── AuthenticationError       certificate, cipher, password or token refused
    │   ├── RevokedError              the member was revoked
    │   ├── ForbiddenError            the access rule does not allow the study
    │   └── TooManyAttemptsError      too many attempts at once: later it will do
    ├── RemoteError                   the other member misbehaved: strike it
    │   ├── ProtocolError             bytes or messages that the protocol does not allow
    │   │   ├── MessageTooLongError
    │   │   ├── UnknownMessageError
    │   │   └── MalformedMessageError a missing field, a wrong type, a value out of bounds
    │   ├── ChunkMismatchError        a chunk that does not match its id
    │   ├── ManifestError             a manifest that does not verify
    │   │   ├── BadSignatureError
    │   │   └── StaleVersionError     older than one already seen, or contradicting it
    │   └── DirectoryError            a member directory that does not verify
    ├── UnavailableError              nobody's fault; trying again later may help
    │   ├── LinkClosedError           the other member went away
    │   ├── DeadlineError             no answer in time
    │   ├── NoSourceError             no reachable member has what is missing
    │   └── BusyError                 a named limit is reached
    ├── PacsError                     the PACS (not the swarm) is at fault
    │   ├── PacsUnreachableError      refused, hung or gone
    │   │   └── PacsBusyError         it rejects associations for the moment
    │   ├── PacsRefusedError          it answered with a failure status
    │   └── PacsDataError             what it sent is not usable
    │       ├── BrokenInstanceError   truncated, broken or not DICOM
    │       ├── WrongStudyError       an instance of another study
    │       └── DuplicateInstanceError  one SOP Instance UID, different bytes
    └── LocalError                    this machine is at fault
        ├── DiskFullError
        ├── CorruptStoreError         stored bytes do not verify
        ├── KeyUnavailableError       no grant for this study here
        ├── CodingError               a coded blob that does not decode within its bounds
        ├── WorkerError               a worker process crashed, or took too much memory or time
        ├── DatabaseLockedError       another program held a database for too long
        └── TranscodingError          an instance that cannot be converted for its receiver

Every class carries its translation to the four outside worlds, so that no
layer invents one: ``wire_code`` (docs/wire.md), ``exit_code`` (the command
line), ``http_status`` and ``dicom_status`` (PS3.4 C.4, PS3.7 C). Messages say
what to do and never contain patient data: name studies by `StudyId`.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Final


class P2PacsError(Exception):
    """Base of all errors that p2pacs raises on purpose."""

    wire_code: ClassVar[int] = 1
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    dicom_status: ClassVar[int] = 0xC001
    transient: ClassVar[bool] = False


# ---------------------------------------------------------------- the operator


class UsageError(P2PacsError):
    """The operator asked for something that cannot be."""

    wire_code = 2
    exit_code = 2
    http_status = 400
    dicom_status = 0xA900


class SettingsError(UsageError):
    """A wrong key or value in a settings file; the message names file and line."""

    wire_code = 5
    exit_code = 3


class StateError(UsageError):
    """The folder is not initialised, is already, or another process holds it."""

    wire_code = 6
    exit_code = 4
    http_status = 409


class NotAcceptableError(UsageError):
    """There is no representation that the asker takes; the message says what there is."""

    wire_code = 7
    http_status = 406


class NotFoundError(UsageError):
    """No such member, transfer or instance."""

    wire_code = 3
    exit_code = 5
    http_status = 404


class StudyNotFoundError(NotFoundError):
    """A study that neither the catalogue nor the PACS nor any member knows."""

    wire_code = 4
    exit_code = 6


# ---------------------------------------------------------------- access


class AccessError(P2PacsError):
    """Who you are does not allow it."""

    wire_code = 16
    exit_code = 16
    http_status = 403
    dicom_status = 0x0124


class AuthenticationError(AccessError):
    """A certificate, cipher, password or token was refused."""

    wire_code = 17
    exit_code = 17
    http_status = 401


class RevokedError(AccessError):
    """The member was revoked by the administrator."""

    wire_code = 18
    exit_code = 18


class ForbiddenError(AccessError):
    """The member's access rule does not allow this study."""

    wire_code = 19
    exit_code = 19


class TooManyAttemptsError(AccessError):
    """Too many attempts wait to be checked already; a later one will do."""

    wire_code = 20
    exit_code = 20
    http_status = 429
    transient = True


# ---------------------------------------------------------------- another member


class RemoteError(P2PacsError):
    """Another member misbehaved: its fault, so it is struck."""

    wire_code = 32
    exit_code = 32
    http_status = 502
    dicom_status = 0xC002


class ProtocolError(RemoteError):
    """Bytes or messages that the protocol does not allow."""

    wire_code = 33


class MessageTooLongError(ProtocolError):
    """A frame that claims more bytes than its kind may have."""

    wire_code = 34


class UnknownMessageError(ProtocolError):
    """A message type that this version does not know."""

    wire_code = 35


class MalformedMessageError(ProtocolError):
    """A missing field, a wrong type, or a value out of bounds."""

    wire_code = 36


class ChunkMismatchError(RemoteError):
    """A chunk whose SHA-256 is not its id."""

    wire_code = 37


class ManifestError(RemoteError):
    """A manifest that does not verify."""

    wire_code = 38


class BadSignatureError(ManifestError):
    """Not signed by the broker of this network."""

    wire_code = 39


class StaleVersionError(ManifestError):
    """Older than a version already verified, or contradicting it."""

    wire_code = 40


class DirectoryError(RemoteError):
    """A member directory that does not verify or goes back in time."""

    wire_code = 41


# ---------------------------------------------------------------- nobody's fault


class UnavailableError(P2PacsError):
    """Nobody's fault; trying again later may help."""

    wire_code = 48
    exit_code = 48
    http_status = 503
    dicom_status = 0xA702
    transient = True


class LinkClosedError(UnavailableError):
    """The other member went away."""

    wire_code = 49


class DeadlineError(UnavailableError):
    """No answer in time."""

    wire_code = 50
    exit_code = 50
    http_status = 504


class NoSourceError(UnavailableError):
    """No reachable member has what is missing."""

    wire_code = 51
    exit_code = 51


class BusyError(UnavailableError):
    """A named limit is reached."""

    wire_code = 52
    exit_code = 52


# ---------------------------------------------------------------- the PACS


class PacsError(P2PacsError):
    """The PACS (not the swarm) is at fault."""

    wire_code = 64
    exit_code = 64
    http_status = 502
    dicom_status = 0xA702


class PacsUnreachableError(PacsError):
    """The PACS refused the connection, hung or went away."""

    wire_code = 65
    exit_code = 65
    transient = True


class PacsBusyError(PacsUnreachableError):
    """It rejects associations for the moment (PS3.8 9.3.4: rejected-transient)."""

    wire_code = 71
    exit_code = 71


class PacsRefusedError(PacsError):
    """The PACS answered with a failure status."""

    wire_code = 66
    exit_code = 66


class PacsDataError(PacsError):
    """What the PACS sent is not usable; what was there before stays."""

    wire_code = 67
    exit_code = 67


class BrokenInstanceError(PacsDataError):
    """Truncated, broken or not DICOM at all."""

    wire_code = 68


class WrongStudyError(PacsDataError):
    """An instance of another study than the one asked for."""

    wire_code = 69


class DuplicateInstanceError(PacsDataError):
    """One SOP Instance UID with different bytes in one retrieval."""

    wire_code = 70


# ---------------------------------------------------------------- this machine


class LocalError(P2PacsError):
    """This machine is at fault."""

    wire_code = 80
    exit_code = 80
    http_status = 500
    dicom_status = 0xA700


class DiskFullError(LocalError):
    """No room left; nothing that was stored is harmed."""

    wire_code = 81
    exit_code = 81
    http_status = 507


class CorruptStoreError(LocalError):
    """Stored bytes do not verify any more."""

    wire_code = 82
    exit_code = 82


class KeyUnavailableError(LocalError):
    """No grant for this study is held here."""

    wire_code = 83
    exit_code = 83
    http_status = 403


class CodingError(LocalError):
    """A coded blob that does not decode, or not within its bounds."""

    wire_code = 84
    exit_code = 84


class WorkerError(LocalError):
    """A worker process crashed, or took more memory or time than its job may."""

    wire_code = 85
    exit_code = 85


class DatabaseLockedError(LocalError):
    """Another program (a backup, a shell) held one of our databases for too long."""

    wire_code = 86
    exit_code = 86
    http_status = 503
    transient = True


class TranscodingError(LocalError):
    """An instance that cannot be converted to a transfer syntax that its receiver accepts."""

    wire_code = 87
    exit_code = 87
    http_status = 406


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_ADVICE: Final = {
    errno.EACCES: "use the account that owns it, or choose another place",
    errno.EPERM: "use the account that owns it, or choose another place",
    errno.EROFS: "mount its disk so that it may be written, or choose another place",
    errno.ENOTDIR: "a file has the name of a folder: choose another place",
    errno.EEXIST: "something else has that name: choose another place",
    errno.EISDIR: "a folder has that name: move it away or choose another place",
    errno.ENOENT: "check the path",
    errno.EMFILE: "allow the program more open files",
}
"""What to do about the ordinary mistakes."""


def local_error(error: OSError, doing: str) -> LocalError:
    """What an error of the operating system means, and what to do about it.

    Args:
        error: with the reason.
        doing: what could not be done, and to which file: ``cannot write /x/y``.
    """
    if error.errno in _FULL:
        return DiskFullError(f"{doing}: the disk is full; free some space and try again")
    advice = _ADVICE.get(error.errno or 0)
    why = error.strerror or str(error)
    return LocalError(f"{doing}: {why}" + (f"; {advice}" if advice else ""))


def report(error: P2PacsError) -> dict[str, object]:
    """What ``--json`` and the HTTP interfaces say of an error."""
    return {
        "error": type(error).__name__,
        "message": str(error),
        "transient": error.transient,
    }


def first_of(error: BaseException) -> P2PacsError | None:
    """The first error of the tree in an exception or (nested) exception group."""
    if isinstance(error, P2PacsError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := first_of(one))), None)
    return None
