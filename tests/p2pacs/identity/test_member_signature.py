from pathlib import Path

import pytest
from attrs import evolve

from p2pacs.errors import AuthenticationError
from p2pacs.identity.member_signature import KEY_MOST, SIGNATURE_MOST, MemberKey
from tests.p2pacs.identity.network import Network


def test_good_for_its_key_text_and_purpose_alone(tmp_path: Path) -> None:
    network = Network.create(tmp_path)
    one, other = network.member("one"), network.member("other")
    made = MemberKey.load(one.folder).sign(b"text", b"purpose")
    assert len(made.public) <= KEY_MOST
    assert len(made.signature) <= SIGNATURE_MOST
    made.verify(one.key_hash, b"text", b"purpose")
    for wrong in (
        (other.key_hash, b"text", b"purpose"),
        (one.key_hash, b"texts", b"purpose"),
        (one.key_hash, b"text", b"purposes"),
    ):
        with pytest.raises(AuthenticationError):
            made.verify(*wrong)
    with pytest.raises(AuthenticationError):
        evolve(made, signature=b"").verify(one.key_hash, b"text", b"purpose")
    assert "PRIVATE" not in repr(MemberKey.load(one.folder))
