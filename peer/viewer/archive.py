"""The viewer's archive: fetched by npm, or brought in a file; verified before it is read."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from p2pacs.errors import StateError, UnavailableError, UsageError, local_error
from p2pacs.limits import MIB
from p2pacs.texts import clean
from peer.viewer import package

SECONDS: Final = 900.0
"""For 48 MiB over a slow line."""

ELSEWHERE: Final = (
    f"fetch it on another machine (npm pack {package.NAME}@{package.VERSION}), bring it here and "
    "name it with --from"
)

_SAID: Final = 300
"""Characters of npm's errors that are repeated."""


def fetch_archive(folder: Path, npm: str = "npm") -> Path:
    """Have npm fetch the archive, with the account's own configuration of npm (proxy, registry).

    Args:
        folder: where it goes.
        npm: the program.

    Raises:
        StateError: there is no npm.
        UnavailableError: it could not fetch it.
    """
    program = shutil.which(npm)
    if program is None:
        raise StateError(f"npm is not installed (Debian: npm). Install it, or {ELSEWHERE}")
    wanted = f"{package.NAME}@{package.VERSION}"
    # Nothing of a package is run by "pack", and --ignore-scripts says it once more.
    command = [program, "pack", wanted, "--ignore-scripts", "--silent", "--pack-destination"]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are constants and our own folder
            [*command, str(folder)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"npm took longer than {SECONDS:.0f} s; or {ELSEWHERE}") from error
    except OSError as error:
        raise local_error(error, f"cannot run {program}") from error
    found = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or len(found) != 1:
        said = clean(" ".join((done.stderr or done.stdout).split()))[:_SAID]
        raise UnavailableError(
            f"npm could not fetch {wanted} ({said or f'exit code {done.returncode}'}). Without a "
            f"network, {ELSEWHERE}"
        )
    return found[0]


def verify(archive: Path, integrity: str = package.INTEGRITY) -> None:
    """Whether a file is the one that was published, byte for byte.

    Args:
        archive: the file.
        integrity: what it must be.

    Raises:
        UsageError: it is not.
        LocalError: it cannot be read.
    """
    digest, size = hashlib.sha512(), 0
    try:
        with archive.open("rb") as file:
            while size <= package.PACKED_BYTES and (some := file.read(MIB)):
                digest.update(some)
                size += len(some)
    except OSError as error:
        raise local_error(error, f"cannot read {archive}") from error
    if f"sha512-{base64.b64encode(digest.digest()).decode()}" != integrity:
        raise UsageError(
            f"{archive.name} is not {package.NAME} {package.VERSION} as it was published: its "
            "SHA-512 is another one. Nothing of it was used"
        )


def contents(archive: Path) -> Iterator[tuple[str, bytes]]:
    """What is needed of an archive: where each file goes, and its bytes.

    It is verified before; and nothing in it could still do more than cost this much memory:
    links, devices and folders are passed over, names are ours (`package.needed`), bytes and files
    are counted while they are read.

    Raises:
        UsageError: it is no archive, or larger than any of the viewer.
    """
    count, size = 0, 0
    try:
        with tarfile.open(archive, "r|gz") as opened:
            for member in opened:
                count, size = count + 1, size + member.size
                if count > package.FILES or size > package.UNPACKED_BYTES:
                    raise UsageError("the archive holds more than the viewer has")
                path = package.needed(member.name)
                file = opened.extractfile(member) if path and member.isreg() else None
                if path is not None and file is not None:
                    yield path, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UsageError(f"{archive.name} cannot be unpacked: {error}") from error
