from pathlib import Path

import msgpack
import pytest
from attrs import evolve

from broker.config import EnrolmentSettings
from broker.members import registry
from broker.members.enrolment import Enrolment
from broker.trail import audit
from p2pacs.errors import (
    AuthenticationError,
    MalformedMessageError,
    NotFoundError,
)
from p2pacs.identity import certificates
from p2pacs.identity.directory import Remote, load_directory
from p2pacs.identity.keys import Secret
from p2pacs.identity.node import make_request, read_box_key
from p2pacs.wire.messages.messages import EnrolQuery, RenewQuery
from tests.broker.conftest import Ground


def _enrolment(ground: Ground) -> Enrolment:
    return Enrolment(
        ground.database,
        authority=ground.authority,
        key=ground.key,
        book=ground.book,
        keeper=ground.keeper,
        settings=EnrolmentSettings(),
    )


def _query(folder: Path, secret: Secret) -> EnrolQuery:
    csr = make_request(folder)
    box_key = read_box_key(folder).public
    return EnrolQuery(1, secret.reveal(), csr, box_key, ["10.0.0.1:4711"])


async def _trail(ground: Ground) -> list[tuple[str, str, str]]:
    entries = await ground.database.run(audit.read)
    return [(entry.what, entry.actor, entry.outcome) for entry in entries]


async def test_a_token_makes_a_member_once(ground: Ground, tmp_path: Path) -> None:
    north, secret = await ground.register("North")
    enrolment = _enrolment(ground)
    query = _query(tmp_path / "north", secret)
    enrolled = await enrolment.enrol(query)
    address, key_hash = certificates.owner_of(enrolled.certificate)
    assert address == north.address
    assert enrolled.authority == ground.authority.certificate
    directory = load_directory(enrolled.directory, ground.key.public)
    assert directory.check(Remote(address, key_hash)).endpoints == ("10.0.0.1:4711",)
    assert msgpack.unpackb(enrolled.settings) == {
        "name": "North",
        "role": "hospital",
        "uplink": 800_000,
        "downlink": 3_000_000,
    }
    with pytest.raises(AuthenticationError, match="used already"):
        await enrolment.enrol(query)
    assert await _trail(ground) == [
        ("member joined", "-", "refused"),
        ("member joined", "North", "done"),
    ]


async def test_a_broken_request_uses_nothing_up(ground: Ground, tmp_path: Path) -> None:
    _, secret = await ground.register("North")
    enrolment = _enrolment(ground)
    good = _query(tmp_path / "north", secret)
    for bad in (
        evolve(good, csr=b"no request"),
        evolve(good, box_key=bytes(32)),
        evolve(good, endpoints=["nowhere"]),
        evolve(good, endpoints=["10.0.0.1:1"] * 17),
    ):
        with pytest.raises(MalformedMessageError):
            await enrolment.enrol(bad)
    await enrolment.enrol(good)


async def test_wrong_tokens_are_counted_and_keep_no_good_one_out(
    ground: Ground, tmp_path: Path
) -> None:
    _, secret = await ground.register("North")
    enrolment = _enrolment(ground)
    query = _query(tmp_path / "north", Secret(b"g" * 16))
    for _ in range(120):
        with pytest.raises(AuthenticationError):
            await enrolment.enrol(query)
    entries = await ground.database.run(audit.read)
    assert [entry.detail for entry in entries] == [
        "wrong token (100 times of late)",
        "wrong token (10 times of late)",
        "wrong token",
    ]
    await enrolment.enrol(_query(tmp_path / "north", secret))


async def test_certificates_are_renewed_for_the_same_key(ground: Ground, tmp_path: Path) -> None:
    north, secret = await ground.register("North")
    enrolment = _enrolment(ground)
    await enrolment.enrol(_query(tmp_path / "north", secret))
    renewal = await enrolment.renew(north.address, RenewQuery(7, make_request(tmp_path / "north")))
    assert renewal.id == 7
    assert certificates.owner_of(renewal.certificate)[0] == north.address
    with pytest.raises(AuthenticationError, match="same key"):
        await enrolment.renew(north.address, RenewQuery(8, make_request(tmp_path / "other")))
    with pytest.raises(NotFoundError):
        await enrolment.renew(
            ground.identity.address, RenewQuery(9, make_request(tmp_path / "north"))
        )
    await ground.database.run(lambda c: registry.revoke(c, north.address))
    with pytest.raises(AuthenticationError):
        await enrolment.renew(north.address, RenewQuery(9, make_request(tmp_path / "north")))
