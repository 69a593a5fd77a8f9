import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from p2pacs.units import Endpoint, HttpsOrigin, format_bytes, format_rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("800kbit", 800_000),
        ("3mbit", 3_000_000),
        ("0.8 Mbit/s", 800_000),
        ("1gbit", 10**9),
        ("64bit", 64),
        ("800000", 800_000),
        (" 8000 ", 8000),
    ],
)
def test_rates(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "800",
        "7999",
        "8000.5",
        "8_000",
        "9" * 30,
        "kbit",
        "-3mbit",
        "0kbit",
        "3mbyte",
        "3 m bit",
        "9" * 30 + "gbit",
        "9" * 400 + "mbit",
    ],
)
def test_what_is_not_a_rate(text: str) -> None:
    with pytest.raises(UsageError, match="not a rate"):
        parse_rate(text)


@given(st.integers(1, 999).flatmap(lambda n: st.sampled_from([n, n * 10**3, n * 10**6])))
def test_rates_are_written_as_they_are_read(rate: int) -> None:
    assert parse_rate(format_rate(rate)) == rate


def test_rates_for_people() -> None:
    assert format_rate(812_345) == "812.345kbit"
    assert format_rate(3_000_000) == "3mbit"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (10_500_000, "10.5 MB"), (999_999, "1.0 MB"), (2e13, "20.0 TB")],
)
def test_bytes_for_people(count: float, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:4242", Endpoint("127.0.0.1", 4242)),
        ("pacs.hospital.example:104", Endpoint("pacs.hospital.example", 104)),
        ("[fd00::1]:0", Endpoint("fd00::1", 0)),
    ],
)
def test_endpoints(text: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        ":80",
        "host:",
        "host:65536",
        "host:-1",
        "fd00::1:80",
        "[host]:80",
        "a b:1",
        "h:1²",
        "h:" + "9" * 5000,
    ],
)
def test_what_is_not_an_endpoint(text: str) -> None:
    with pytest.raises(UsageError, match="not an endpoint"):
        Endpoint.parse(text)


@given(st.text())
def test_endpoints_never_fail_otherwise(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except UsageError:
        return
    assert Endpoint.parse(str(endpoint)) == endpoint


def test_loopback() -> None:
    assert Endpoint("127.0.0.1", 1).is_loopback
    assert Endpoint("::1", 1).is_loopback
    assert Endpoint("localhost", 1).is_loopback
    assert not Endpoint("0.0.0.0", 1).is_loopback  # noqa: S104
    assert not Endpoint("example.org", 1).is_loopback


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://viewer.hospital.example", "https://viewer.hospital.example"),
        ("https://Viewer.Example:443/", "https://viewer.example"),
        ("https://viewer.example:8443", "https://viewer.example:8443"),
        ("https://[FD00::1]", "https://[fd00::1]"),
        ("https://[fd00::1]:8443", "https://[fd00::1]:8443"),
    ],
)
def test_origins(text: str, origin: str) -> None:
    assert str(HttpsOrigin.parse(text)) == origin
    assert str(HttpsOrigin.parse(origin)) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("", "viewer.example", "http://viewer.example", "https://", "https://a/b", "https://a:x"),
        *("https://a:70000", "https://a b", "https://u@a", "https://fd00::1", "https://a'; x"),
    ],
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(UsageError, match="https://HOST"):
        HttpsOrigin.parse(text)
