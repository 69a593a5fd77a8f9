import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import AccessError, BadSignatureError, UsageError
from p2pacs.identity.keys import BoxKey, Secret, SigningKey, StudyKey, VerifyKey, wrap


def test_secrets_do_not_print() -> None:
    secret = StudyKey(b"s" * 32)
    signing, box = SigningKey(secret), BoxKey(secret)
    for shown in (repr(secret), str(secret), f"{[secret]}", repr(signing), repr(box)):
        assert "sss" not in shown
        assert secret.reveal().hex() not in shown
    assert repr(secret) == "<redacted>"


def test_secrets_compare_by_value() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert len({Secret(b"a"), Secret(b"a")}) == 1
    assert StudyKey.generate() != StudyKey.generate()


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_keys_have_32_bytes(raw: bytes) -> None:
    for make in (
        lambda: StudyKey(raw),
        lambda: VerifyKey(raw),
        lambda: SigningKey(Secret(raw)),
        lambda: BoxKey(Secret(raw)),
        lambda: wrap(raw, Secret(b"x"), b""),
    ):
        with pytest.raises(UsageError):
            make()


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=20))
def test_signatures_verify(data: bytes, purpose: bytes) -> None:
    key = SigningKey.from_raw(Secret(bytes(range(32))))
    signature = key.sign(data, purpose)
    assert len(signature) == 64
    key.public.verify(signature, data, purpose)
    VerifyKey(bytes(key.public)).verify(signature, data, purpose)
    with pytest.raises(BadSignatureError):
        key.public.verify(signature, data + b"x", purpose)


def test_a_signature_is_good_for_one_purpose_and_key() -> None:
    key = SigningKey.generate()
    signature = key.sign(b"bc", b"a")
    for data, purpose in [(b"c", b"ab"), (b"bc", b"b"), (b"abc", b"a")]:
        with pytest.raises(BadSignatureError):
            key.public.verify(signature, data, purpose)
    with pytest.raises(BadSignatureError):
        SigningKey.generate().public.verify(signature, b"bc", b"a")
    with pytest.raises(BadSignatureError):
        key.public.verify(b"", b"bc", b"a")
    with pytest.raises(ValueError, match="purpose"):
        key.sign(b"", b"")


def test_signed_bytes_are_the_documented_ones() -> None:
    """RFC 8032 over the purpose's length, the purpose and the data (docs/security.md)."""
    key = SigningKey(Secret(bytes(32)))
    assert key.public.raw.hex() == (
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
    )
    plain = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert key.sign(b"data", b"purpose") == plain.sign(b"\x07purposedata")


def test_verify_keys_compare_by_value() -> None:
    key = SigningKey.generate().public
    assert key == VerifyKey(key.raw)
    assert hash(key) == hash(VerifyKey(key.raw))
    assert key != SigningKey.generate().public


def test_a_study_key_is_wrapped_to_one_member_and_study() -> None:
    box, key = BoxKey.generate(), StudyKey.generate()
    wrapped = wrap(box.public, key, b"study 1")
    assert len(wrapped) == 80
    assert box.open(wrapped, b"study 1") == key
    assert BoxKey.from_raw(box.secret).open(wrapped, b"study 1") == key
    for other, info, bytes_ in [
        (BoxKey.generate(), b"study 1", wrapped),
        (box, b"study 2", wrapped),
        (box, b"study 1", wrapped[:-1] + b"x"),
        (box, b"study 1", b""),
        (box, b"study 1", bytes(80)),
    ]:
        with pytest.raises(AccessError, match="ask the broker"):
            other.open(bytes_, info)


def test_a_public_key_of_small_order_is_refused() -> None:
    with pytest.raises(UsageError):
        wrap(bytes(32), Secret(b"x"), b"")
