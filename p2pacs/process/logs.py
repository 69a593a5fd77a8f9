"""Logging: structlog to standard error, for people or as JSON lines.

Rules for every caller: no patient data (UIDs of studies included). So DICOM libraries,
which log identifiers and data elements, are silenced here, and tracebacks never show
local variables.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor

from p2pacs.errors import SettingsError
from p2pacs.files.private_files import Mended
from p2pacs.texts import clean

Level = Literal["debug", "info", "warning", "error"]

MOST_NAMED: Final = 5
"""Files of another account that are named: if they are many, all are alike."""

_MANY_LINES: Final = frozenset({"exception", "stack"})
"""Fields of the log that are tracebacks: our own lines."""

_SILENT = ("pynetdicom", "pydicom", "python_multipart")
"""Libraries that log what patients are called, or a line for each form that a stranger garbles."""

_QUIET = ("alembic", "httpx", "httpcore", "hypercorn.access")


def configure(level: str, json: bool) -> None:
    """Send all logs of this process to standard error.

    Args:
        level: debug, info, warning or error.
        json: one JSON object a line instead of text.

    Raises:
        SettingsError: an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise SettingsError(f"unknown log level {level!r}: debug, info, warning or error")
    shared: Sequence[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = _json() if json else _text()
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Logger(),
        cache_logger_on_first_use=False,
    )
    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    _hush()


def say_mended(folder: Path, mended: Mended) -> None:
    """Warn of what other accounts of this machine could open."""
    log = structlog.get_logger(__name__)
    if mended.closed:
        log.warning(
            "was open to other accounts of this machine, now closed",
            folder=str(folder),
            files=mended.closed,
        )
    for path in mended.left[:MOST_NAMED]:
        log.warning("open to other accounts of this machine: give it mode 0700", path=str(path))


def _write(line: str) -> None:
    """Write one line to what standard error is at the time.

    A line that cannot be written (its disk is full, its reader has ended) is lost: whoever had
    something to say goes on.
    """
    with suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class _Logger:
    """Where structlog's lines go, of whatever level."""

    def msg(self, line: str) -> None:
        """Write one line."""
        _write(line)

    debug = info = warning = error = critical = exception = msg


class _Stderr(logging.Handler):
    """Where the lines of libraries go."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        # Not by their level alone: pydicom sets its own anew when it is imported later.
        if record.name.partition(".")[0] in _SILENT:
            return
        try:
            line = self.format(record)
        except (TypeError, ValueError):  # what a library said does not fit its own format
            self.handleError(record)
        else:
            _write(line)


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _cleaned(_logger: object, _method: str, event: EventDict) -> EventDict:
    """What others said must not act on the terminal, or forge a second line."""
    return {
        key: clean(value) if isinstance(value, str) and key not in _MANY_LINES else value
        for key, value in event.items()
    }


def _text() -> list[Processor]:
    return [
        _cleaned,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _hush() -> None:
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # pydicom's warnings quote values of elements.
    warnings.filterwarnings("ignore", module=r"py(net)?dicom(\.|$)")
