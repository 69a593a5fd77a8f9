from pathlib import Path

import pytest
from attrs import evolve

from broker.config import DAY, IDENTITY
from broker.database.pacs_state import PacsIs, PacsState
from broker.health import (
    BrokerFilesNow,
    BrokerVitals,
    DiskUse,
    broker_checks,
    ends_at,
    read_folder,
)
from broker.members.member_reach import MemberReach
from p2pacs.errors import PacsUnreachableError
from p2pacs.identity import certificates
from p2pacs.identity.authority import Authority
from p2pacs.ids import StudyId
from p2pacs.process.health import Health, worst
from p2pacs.publish import PublishProgress
from tests.broker.handlers.test_reported_reads import NORTH
from tests.broker.pages.conftest import settings

AT = 1_750_000_000_000
DAYS = DAY * 1000
CLOCKS = "Clocks and addresses of members"

WELL = BrokerVitals(
    settings=settings(),
    at=AT,
    files=BrokerFilesNow(
        5000,
        {"Disk of database and store": DiskUse(10**12, 2 * 10**12)},
        {"Certificate of the pages": AT + 80 * DAYS},
    ),
    authority_ends=AT + 7000 * DAYS,
    pacs=PacsState(PacsIs.ANSWERS, AT - DAYS, AT - 1000, 7),
    members=[evolve(NORTH, certificate_expires=AT + DAYS)],
    publications=[],
    workers=2,
    version="9.9",
)


def progress(error: str = "", *, over: bool = True) -> PublishProgress:
    made = PublishProgress(StudyId(bytes(16)), "1.2")
    if over:
        made.end(PacsUnreachableError(error) if error else None)
    return made


async def test_a_broker_that_is_well() -> None:
    checks = broker_checks(WELL)
    assert worst(checks) is Health.GOOD
    assert not any(check.advice for check in checks)
    assert len({check.key for check in checks}) == len(checks)


@pytest.mark.parametrize(
    ("name", "state", "changed"),
    [
        ("PACS", Health.BAD, {"pacs": PacsState(PacsIs.AWAY, AT, AT, 7, "it hangs")}),
        ("PACS", Health.BAD, {"pacs": PacsState(PacsIs.FAILED, AT, AT, 7, "disk full")}),
        ("PACS", Health.LOOK, {"pacs": PacsState(PacsIs.UNKNOWN, AT, AT, 7)}),
        ("Catalogue", Health.LOOK, {"pacs": PacsState(PacsIs.ANSWERS, AT)}),
        ("Catalogue", Health.BAD, {"pacs": PacsState(PacsIs.ANSWERS, AT, AT - DAYS, 7)}),
        ("Members", Health.BAD, {"members": [evolve(WELL.members[0], linked=False)]}),
        (
            "Members",
            Health.LOOK,
            {"members": [evolve(WELL.members[0], linked=False, certificate_expires=AT - 1)]},
        ),
        ("Members", Health.GOOD, {"members": []}),
        (CLOCKS, Health.LOOK, {"trials": {NORTH.address: MemberReach(0, 7.0, (), ())}}),
        (CLOCKS, Health.LOOK, {"trials": {NORTH.address: MemberReach(0, 1.0, (), ("a:1",))}}),
        (CLOCKS, Health.GOOD, {"trials": {NORTH.address: MemberReach(0, -1.0, ("a:1",), ())}}),
        ("Workers", Health.LOOK, {"deaths": 1}),
        ("Certificate of the authority", Health.LOOK, {"authority_ends": AT + 300 * DAYS}),
        (
            "Certificate of the pages",
            Health.BAD,
            {"files": evolve(WELL.files, certificates={"Certificate of the pages": AT})},
        ),
        (
            "Disk of the store",
            Health.BAD,
            {"files": evolve(WELL.files, disks={"Disk of the store": DiskUse(5, 10**12)})},
        ),
        ("Clock", Health.BAD, {"at": 0}),
    ],
)
async def test_what_is_wrong_is_said_with_what_to_do(
    name: str, state: Health, changed: dict[str, object]
) -> None:
    checks = broker_checks(evolve(WELL, **changed))  # type: ignore[arg-type]
    (found,) = [check for check in checks if check.name == name]
    assert found.state is state
    assert bool(found.advice) is (state is not Health.GOOD)


async def test_publications_that_failed_or_wait() -> None:
    def said(*publications: PublishProgress) -> Health:
        checks = broker_checks(evolve(WELL, publications=publications))
        return next(check.state for check in checks if check.name == "Publications")

    assert said(progress(), progress(over=False)) is Health.GOOD
    assert said(progress("away")) is Health.LOOK
    assert said(*[progress(over=False)] * 51) is Health.LOOK


def test_what_the_folder_says(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "broker.db").write_bytes(b"x" * 100)
    (tmp_path / "store").mkdir()
    (tmp_path / IDENTITY).mkdir()
    found = read_folder(tmp_path)
    assert found.database == 100
    assert list(found.disks) == ["Disk of database and store"]
    assert found.certificates == {}
    (tmp_path / IDENTITY / "cert.pem").write_bytes(certificates.to_pem(authority.certificate))
    assert read_folder(tmp_path).certificates == {
        "Certificate of the broker": ends_at(authority.certificate)
    }
    assert not read_folder(tmp_path / "nowhere").disks
    own = tmp_path / "own.pem"
    own.write_bytes(certificates.to_pem(authority.certificate))
    assert "Certificate of the pages" in read_folder(tmp_path, "own.pem").certificates
