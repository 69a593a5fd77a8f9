from pathlib import Path

import pytest
from attrs import evolve

from broker.access.rules import ALL
from broker.handlers import grants
from broker.members import registry
from broker.trail import audit
from p2pacs.errors import ForbiddenError, NotFoundError, RevokedError
from p2pacs.identity.directory import Role
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import joined, open_parts, record


async def test_who_may_read_what(ground: Ground, tmp_path: Path) -> None:
    north, _ = await joined(ground, "North", read="Modality=CT")
    replica, _ = await joined(ground, "R1", role=Role.REPLICA, read="none")
    async with open_parts(ground, tmp_path, FakePacs()) as parts:
        ct, mr = record(parts, "1.1"), record(parts, "1.2", "MR")
    who = await ground.database.run(lambda c: grants.asking_member(c, north.address))
    assert (who.blind, who.may_read(ct), who.may_read(mr)) == (False, True, False)
    who = await ground.database.run(lambda c: grants.asking_member(c, replica.address))
    assert (who.blind, who.may_read(ct)) == (True, False)
    before = evolve(who, rule=ALL)  # as an older program let it be registered
    assert not before.may_read(ct)
    with pytest.raises(NotFoundError):
        await ground.database.run(lambda c: grants.asking_member(c, ground.identity.address))
    await ground.database.run(lambda c: registry.revoke(c, north.address))
    with pytest.raises(RevokedError):
        await ground.database.run(lambda c: grants.asking_member(c, north.address))


async def test_grants_and_refusals_are_written_down(ground: Ground, tmp_path: Path) -> None:
    north, _ = await joined(ground, "North")
    async with open_parts(ground, tmp_path, FakePacs()) as parts:
        study = record(parts)
        await parts.studies.ensure(study.uid)
        who = await ground.database.run(lambda c: grants.asking_member(c, north.address))
        run, studies = ground.database.run, parts.studies
        assert await run(lambda c: grants.grant(c, studies, who, study, "get"))
        refusal = await run(lambda c: grants.refuse(c, who, study, "get"))
        assert isinstance(refusal, ForbiddenError)
        assert study.uid not in str(refusal)
        await run(lambda c: grants.entrust(c, who, [study]))
    entries = await ground.database.run(audit.read)
    assert [(one.what, one.outcome) for one in entries] == [
        ("study granted", "refused"),
        ("study granted", "done"),
    ]
