import pytest
import trio
from trio.testing import MockClock

from p2pacs.errors import AccessError
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.study.delegation import Delegation, sign_delegation
from p2pacs.study.manifest import load_root
from peer.ingest.publish_leave import PublishLeave
from tests.p2pacs.study.samples import SIGNER, STUDY
from tests.p2pacs.study.test_delegation import ADDRESS
from tests.p2pacs.study.test_manifest import ROOT

MEMBER = SigningKey.generate()


async def test_a_leave_is_good_until_it_ends_by_the_brokers_clock(
    autojump_clock: MockClock,
) -> None:
    """This machine's clock may be any: what passed since the broker answered counts."""
    given = Delegation(STUDY, ADDRESS, MEMBER.public, 0, 5_000, 15_000)
    raw = sign_delegation(given, SIGNER)
    leave = PublishLeave(STUDY, StudyKey.generate(), b"", given, raw, trio.current_time())
    for _ in range(3):
        assert load_root(leave.sign(ROOT, MEMBER), SIGNER.public, STUDY) == ROOT
        await trio.sleep(5)
    await trio.sleep(0.1)
    with pytest.raises(AccessError, match="has ended"):
        leave.sign(ROOT, MEMBER)
