import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from p2pacs.identity.keys import Secret
from p2pacs.identity.token import PREFIX, Token
from p2pacs.ids import VirtualAddress

TOKEN = Token(
    broker=VirtualAddress(b"\xfd" + bytes(15)),
    endpoints=("broker.example:4443", "10.0.0.1:4443"),
    authority_sha256=bytes(32),
    secret=Secret(bytes(16)),
)

tokens = st.builds(
    Token,
    broker=st.binary(min_size=15, max_size=15).map(lambda raw: VirtualAddress(b"\xfd" + raw)),
    endpoints=st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4).map(tuple),
    authority_sha256=st.binary(min_size=32, max_size=32),
    secret=st.binary(min_size=16, max_size=16).map(Secret),
)


@given(tokens)
def test_a_token_comes_back(token: Token) -> None:
    text = token.encode()
    assert text.startswith(PREFIX)
    assert Token.decode(text) == token
    assert Token.decode(f"  {text[:20]}\n{text[20:]} \n") == token


FROZEN = "p2pacs1-7u" + "a" * 101 + "ccnrhe33lmvzc4zlymfwxa3dfhi2dinbtbuytalrqfyyc4mj2gq2dim6dyim62"


def test_the_bytes_are_frozen() -> None:
    assert TOKEN.encode() == FROZEN
    assert Token.decode(FROZEN.upper()) == TOKEN


def test_a_token_does_not_print_its_secret() -> None:
    assert "<redacted>" in repr(TOKEN)


@given(st.integers(0, 200), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_slip_of_the_pen_is_found(place: int, letter: str) -> None:
    text = TOKEN.encode()
    place %= len(text)
    wrong = text[:place] + letter + text[place + 1 :]
    if wrong == text:
        return
    try:
        assert Token.decode(wrong) == TOKEN  # only the unused bits of the last letter
    except UsageError as error:
        assert "copy it whole" in str(error)  # noqa: PT017


@given(st.text(max_size=100) | st.text(alphabet="abcdefgh234567", max_size=200).map(PREFIX.__add__))
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        Token.decode(text)


def test_truncated_tokens() -> None:
    text = TOKEN.encode()
    for length in range(0, len(text) - 1, 7):
        with pytest.raises(UsageError, match="copy it whole"):
            Token.decode(text[:length])


def test_what_nobody_could_decode_is_not_made() -> None:
    for bad in (
        evolve(TOKEN, endpoints=()),
        evolve(TOKEN, endpoints=("h:1",) * 17),
        evolve(TOKEN, endpoints=("",)),
        evolve(TOKEN, endpoints=("h" * 256,)),
        evolve(TOKEN, secret=Secret(bytes(15))),
        evolve(TOKEN, authority_sha256=b""),
    ):
        with pytest.raises(UsageError):
            bad.encode()


def test_secrets_are_random() -> None:
    assert Token.new_secret() != Token.new_secret()
    assert len(Token.new_secret().reveal()) == 16
