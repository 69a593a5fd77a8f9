import hashlib

from broker.members import audit, registry
from broker.members.admin_actions import AdminActions
from broker.members.registry import Registration
from p2pacs.identity.directory import Role
from p2pacs.identity.token import Token
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import settings


async def test_everything_an_administrator_does_is_audited(ground: Ground) -> None:
    office = AdminActions(ground.authority, ground.identity.address, settings())
    registration = Registration("North", Role.HOSPITAL, None, None, "all")
    member, text = await ground.database.run(lambda c: office.register(c, registration, "admin"))
    token = Token.decode(text)
    pin = hashlib.sha256(ground.authority.certificate).digest()
    assert (token.endpoints, token.authority_sha256) == (("127.0.0.1:4710",), pin)
    await ground.database.run(lambda c: office.new_token(c, member.address, "admin"))
    await ground.database.run(lambda c: office.change_rule(c, member.address, "none", "admin"))
    assert await ground.database.run(lambda c: office.revoke(c, member.address, "admin"))
    assert not await ground.database.run(lambda c: office.revoke(c, member.address, "admin"))
    entries = await ground.database.run(audit.read)
    assert [(entry.what, entry.actor, entry.detail) for entry in entries] == [
        ("member revoked", "admin", "North"),
        ("read rule changed", "admin", "North: none"),
        ("token issued", "admin", "North"),
        ("member registered", "admin", "North"),
    ]
    assert (await ground.database.run(registry.list_members))[0].revoked is not None
