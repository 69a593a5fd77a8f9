from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from p2pacs.doctor.certificates import OWN, certificate_checks, validity
from p2pacs.doctor.examination import examine
from p2pacs.errors import StateError
from p2pacs.identity import certificates
from p2pacs.process.health import Health


def _certificate(path: Path, lifetime: timedelta) -> None:
    key = certificates.load_key(certificates.generate_key(), "a key")
    made = certificates.site_certificate(key, "P2PACS", ["localhost"], lifetime)
    path.write_bytes(certificates.to_pem(made))


@pytest.mark.parametrize(
    ("days", "state", "said"),
    [
        (-300, Health.BAD, "not good yet"),
        (0, Health.GOOD, "good for"),
        (80, Health.LOOK, "good for"),
        (91, Health.BAD, "has ended"),
    ],
)
def test_a_certificate_by_the_clock(tmp_path: Path, days: int, state: Health, said: str) -> None:
    _certificate(tmp_path / "c.pem", timedelta(days=90))
    at = datetime.now(UTC) + timedelta(days=days)
    check = validity("Certificate", tmp_path / "c.pem", OWN, at)
    assert check.state is state
    assert said in check.what
    assert bool(check.advice) == (state is not Health.GOOD)


async def test_only_those_that_are_there_are_looked_at(tmp_path: Path) -> None:
    _certificate(tmp_path / "c.pem", timedelta(days=90))
    (tmp_path / "d.pem").write_text("no certificate")
    wanted = {name: (tmp_path / f"{name}.pem", OWN) for name in ("c", "d", "e")}
    good, bad = await examine(certificate_checks(wanted))
    assert (good.name, good.state) == ("c", Health.GOOD)
    assert (bad.name, bad.state) == ("d", Health.BAD)
    with pytest.raises(StateError):
        validity("d", tmp_path / "d.pem", OWN, datetime.now(UTC))
