import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.accounts.one_time import (
    RECOVERY_CODES,
    STEP,
    app_address,
    code_at,
    matching_step,
    new_recovery_codes,
    new_secret,
    plain_code,
    read_secret_text,
    recovery_hash,
    secret_text,
)
from p2pacs.errors import UsageError

SECRET = b"12345678901234567890"
"""Of the tables in RFC 4226 (D) and RFC 6238 (B)."""


@pytest.mark.parametrize(
    ("step", "code"),
    list(enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922"])),
)
def test_codes_of_rfc_4226(step: int, code: str) -> None:
    assert code_at(SECRET, step) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),  # the last six of the eight digits that the table has
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_of_rfc_6238(seconds: int, code: str) -> None:
    assert matching_step(SECRET, code, seconds, after=-1) == seconds // STEP


@given(at=st.integers(min_value=4 * STEP, max_value=1 << 40), late=st.integers(-3, 3))
def test_a_clock_may_differ_by_one_step(at: int, late: int) -> None:
    """Unless two of these codes are the same by chance, which happens once in a million."""
    step = at // STEP
    code = code_at(SECRET, step + late)
    same = [near for near in (step - 1, step, step + 1) if code_at(SECRET, near) == code]
    assert matching_step(SECRET, code, at, after=-1) == (same[0] if same else None)


@given(at=st.integers(min_value=4 * STEP, max_value=1 << 40), late=st.integers(-1, 1))
def test_a_code_is_good_once(at: int, late: int) -> None:
    step = at // STEP + late
    found = matching_step(SECRET, code_at(SECRET, step), at, after=step)
    assert found is None or found > step


@given(text=st.text(max_size=80))
def test_whatever_is_typed_is_a_code_or_none(text: str) -> None:
    matching_step(SECRET, plain_code(text), 59, after=-1)
    recovery_hash("anna", text)


def test_a_secret_as_text() -> None:
    secret = new_secret()
    assert read_secret_text(secret_text(secret)) == secret
    for text in ("", "AAAA", secret_text(secret)[:-1] + "1", "\N{SNOWMAN}" * 32):
        with pytest.raises(UsageError):
            read_secret_text(text)


def test_the_address_for_the_app() -> None:
    address = app_address(SECRET, "anna & co", "North/General")
    assert address == (
        "otpauth://totp/North%2FGeneral%3Aanna%20%26%20co"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=North%2FGeneral"
    )


def test_recovery_codes() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == RECOVERY_CODES
    for code in codes:
        assert [len(part) for part in code.split("-")] == [4, 4, 4]
        typed = f" {code.upper().replace('-', ' ')}"
        assert recovery_hash("anna", typed) == recovery_hash("anna", code)
        assert recovery_hash("bert", code) != recovery_hash("anna", code)
