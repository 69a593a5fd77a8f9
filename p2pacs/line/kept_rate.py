"""What an uplink was last found to carry, kept over restarts in a file of one line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog
import trio

from p2pacs.line.pacer import Pacer

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 60.0
CHANGED: Final = 0.05
"""It is written this often at most, when it differs by more than this part."""

MOST_DIGITS: Final = 12
"""Of a rate that is believed: less than a terabit a second."""


def read_rate(path: Path) -> int | None:
    """Bits a second; None if nothing (that can be read) is kept."""
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(MOST_DIGITS + 2).strip()
    except (OSError, UnicodeError):
        return None
    return int(text) or None if text.isdecimal() and len(text) <= MOST_DIGITS else None


def write_rate(path: Path, bits: int) -> None:
    """Keep it: the old one or the new one is there, whatever happens meanwhile.

    Raises:
        OSError: the disk is full, or the folder is gone.
    """
    new = path.with_suffix(".new")
    new.write_text(f"{bits}\n", encoding="ascii")
    new.replace(path)


async def keep_rate(path: Path, uplink: Pacer) -> None:
    """Keep what an uplink is found to carry, until cancelled. A disk that is full does no harm."""
    kept = read_rate(path) or 0
    while True:
        await trio.sleep(EVERY_SECONDS)
        bits = round(uplink.carried * 8)
        if bits and abs(bits - kept) > CHANGED * kept:
            try:
                await trio.to_thread.run_sync(write_rate, path, bits)
            except OSError as error:
                log.warning("what the uplink carries is not kept", why=error.strerror)
            else:
                kept = bits
