"""Until when certificates are good, and whether this machine's clock agrees with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import trio

from p2pacs.doctor.examination import PlannedCheck
from p2pacs.identity.certificates import from_pem, load_certificate
from p2pacs.process.health import Health, HealthCheck, expiry_check

RENEWED: Final = (
    "The program renews it by itself while it runs and its broker is linked: see to both, and that "
    "this machine's clock is right."
)
OWN: Final = "Replace it by a new one: it is not made by p2pacs."


def certificate_checks(
    certificates: Mapping[str, tuple[Path, str]],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[PlannedCheck]:
    """A check for each that is there.

    Args:
        certificates: PEM files by what they are, and what to do before they end.
        now: the time of day.
    """
    return [
        PlannedCheck(name, partial(_looked_up, name, path, advice, now))
        for name, (path, advice) in certificates.items()
        if path.is_file()
    ]


async def _looked_up(
    name: str, path: Path, advice: str, now: Callable[[], datetime]
) -> Sequence[HealthCheck]:
    return [await trio.to_thread.run_sync(validity, name, path, advice, now())]


def validity(name: str, path: Path, advice: str, at: datetime) -> HealthCheck:
    """Whether a certificate is good at a time.

    Raises:
        StateError: the file holds none.
        OSError: it cannot be read.
    """
    certificate = load_certificate(from_pem(path.read_bytes(), name.lower()))
    if at < certificate.not_valid_before_utc:
        return HealthCheck(
            name,
            Health.BAD,
            "It is not good yet, by this machine's clock.",
            "Set the clock right: it is behind that of whoever made the certificate.",
        )
    ends = int(certificate.not_valid_after_utc.timestamp() * 1000)
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    # Of one that is renewed after two thirds, less than a quarter is never left.
    days = min(30, max(1, lifetime.days // 4))
    return expiry_check(name, ends, int(at.timestamp() * 1000), advice, days=days)
