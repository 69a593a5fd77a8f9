"""Both protocols say the same things of a mapping."""

from p2pacs.mapping import nat_pmp, pcp
from p2pacs.mapping.answers import UNSUPPORTED_VERSION, Refused


def test_a_router_with_nat_pmp_alone_says_so_when_it_is_asked_by_pcp() -> None:
    answer = bytes([0, 0x81, 0, UNSUPPORTED_VERSION, 0, 0, 0, 9])  # RFC 6886 3.5
    assert pcp.parse_map(answer, bytes(12), 4000) == Refused(UNSUPPORTED_VERSION)


def test_a_router_with_pcp_alone_says_so_when_it_is_asked_by_nat_pmp() -> None:
    answer = bytes([2, 0x82, 0, UNSUPPORTED_VERSION]) + bytes(20)  # RFC 6887 A
    assert nat_pmp.parse_map(answer, 4000) is None
