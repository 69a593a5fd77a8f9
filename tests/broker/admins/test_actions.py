import hashlib

import pytest

from broker.admins.actions import AdminActions
from broker.ingest.sent import begin_sending, list_sending
from broker.members import registry
from broker.members.corrections import Correction
from broker.members.registry import Registration
from broker.trail import audit
from p2pacs.errors import StateError
from p2pacs.identity.directory import Role
from p2pacs.identity.token import Token
from p2pacs.ids import StudyId
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import settings


async def test_everything_an_administrator_does_is_audited(ground: Ground) -> None:
    actions = AdminActions(ground.authority, ground.identity.address, settings())
    registration = Registration("North", Role.HOSPITAL, None, None, "all")
    member, text = await ground.database.run(lambda c: actions.register(c, registration, "admin"))
    token = Token.decode(text)
    pin = hashlib.sha256(ground.authority.certificate).digest()
    assert (token.endpoints, token.authority_sha256) == (("127.0.0.1:4710",), pin)
    await ground.database.run(lambda c: actions.new_token(c, member.address, "admin"))
    await ground.database.run(lambda c: actions.change_rule(c, member.address, "none", "admin"))
    assert await ground.database.run(lambda c: actions.revoke(c, member.address, "admin"))
    assert not await ground.database.run(lambda c: actions.revoke(c, member.address, "admin"))
    entries = await ground.database.run(audit.read)
    assert [(entry.what, entry.actor, entry.detail) for entry in entries] == [
        ("member revoked", "admin", "North"),
        ("read rule changed", "admin", "North: none"),
        ("token issued", "admin", "North"),
        ("member registered", "admin", "North"),
    ]
    assert {entry.about for entry in entries} == {member.address}
    assert (await ground.database.run(registry.list_members))[0].revoked is not None


async def test_corrections_are_audited_and_made_to_what_was_seen(ground: Ground) -> None:
    actions = AdminActions(ground.authority, ground.identity.address, settings())
    registration = Registration("Nroth", Role.HOSPITAL, None, None, "all")
    seen, _ = await ground.database.run(lambda c: actions.register(c, registration, "anna"))
    address, version = seen.address, seen.version
    wanted = Correction("North", Role.HOSPITAL, 1_000_000, None)
    await ground.database.run(
        lambda c: actions.correct(c, address, wanted, "anna", version=version)
    )
    stale = (
        lambda c: actions.correct(c, address, wanted, "bob", version=version),
        lambda c: actions.change_rule(c, address, "none", "bob", version=version),
        lambda c: actions.new_token(c, address, "bob", version=version),
        lambda c: actions.remove(c, address, "bob", version=version),
    )
    for work in stale:
        with pytest.raises(StateError, match="changed by somebody else"):
            await ground.database.run(work)
    await ground.database.run(lambda c: actions.correct(c, address, wanted, "bob"))
    await ground.database.run(lambda c: actions.remove(c, address, "bob", version=version + 1))
    entries = await ground.database.run(audit.read)
    assert [(entry.what, entry.actor, entry.detail) for entry in entries] == [
        ("member deleted", "bob", "North"),
        ("member corrected", "anna", "Nroth: name: Nroth → North; uplink: no limit → 1mbit"),
        ("member registered", "anna", "Nroth"),
    ]
    assert await ground.database.run(registry.list_members) == []


async def test_what_a_member_sends_is_adopted_when_it_is_revoked(ground: Ground) -> None:
    actions = AdminActions(ground.authority, ground.identity.address, settings())
    north, south = [
        (
            await ground.database.run(
                lambda c, name=name: actions.register(  # type: ignore[misc]
                    c, Registration(name, Role.HOSPITAL, None, None, "all"), "admin"
                )
            )
        )[0].address
        for name in ("North", "South")
    ]
    studies = {north: StudyId(bytes(16)), south: StudyId(bytes([1]) * 16)}
    for member, study in studies.items():
        uid = f"1.2.{study.short}"
        await ground.database.run(
            lambda c, member=member, study=study, uid=uid: begin_sending(c, study, uid, member)
        )
    await ground.database.run(lambda c: actions.revoke(c, north, "admin"))
    assert await ground.database.run(lambda c: actions.adopt(c, south, "admin")) == 1
    sending = await ground.database.run(list_sending)
    assert [one.adopted for one in sending] == [True, True]
    newest = (await ground.database.run(audit.read))[0]
    assert (newest.what, newest.detail) == ("studies adopted", "South: 1")
