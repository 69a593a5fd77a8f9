"""The rules of each kind as text; what they do is in `inside_homes.py`."""

import pytest

from scripts.lab import nat
from scripts.lab.nat import KINDS, NAMES, Layer, LetsIn, OuterPorts, layers, parse_kinds, rules


def test_every_name_has_routers() -> None:
    assert [len(layers(name)) for name in KINDS] == [1, 1, 1, 1, 1, 2, 2]
    for name in NAMES:
        assert {layer.hairpin for layer in layers(name)} == {name.endswith(nat.HAIRPIN)}


def test_kinds_are_read_and_others_refused() -> None:
    assert parse_kinds("preserving, cone+hairpin") == ("preserving", "cone+hairpin")
    for wrong in ("", "preserving,", "conical", "+hairpin", "cone+hairpin+hairpin"):
        with pytest.raises(ValueError, match="no kind of NAT"):
            parse_kinds(wrong)


@pytest.mark.parametrize("ports", OuterPorts)
def test_ports(ports: OuterPorts) -> None:
    said = rules(Layer(ports), "10.2.0.1")
    assert f"{ports.value}\n" in said
    assert said.count("{") == said.count("}")


def test_who_is_let_in() -> None:
    into = "dnat ip to tcp dport map @inside"
    assert into not in rules(Layer(), "10.2.0.1")
    assert f'iifname "line" {into}' in rules(Layer(lets_in=LetsIn.ANYBODY), "10.2.0.1")
    by_address = rules(Layer(lets_in=LetsIn.ADDRESS), "10.2.0.1")
    assert f'iifname "line" ip saddr . tcp dport @spoken_to {into}' in by_address


def test_what_is_not_let_in_is_dropped_or_refused_of_the_router_too() -> None:
    refusal = 'iifname "line" meta l4proto tcp reject with tcp reset'
    assert refusal not in rules(Layer(), "10.2.0.1")
    assert rules(Layer(refuses=True), "10.2.0.1").count(refusal) == 2


def test_a_hairpin_comes_from_inside_and_with_the_outer_address() -> None:
    into = 'iifname "inner" ip daddr 10.2.0.1 dnat'
    assert into not in rules(Layer(), "10.2.0.1")
    said = rules(Layer(hairpin=True), "10.2.0.1")
    assert into in said
    assert "snat to 10.2.0.1" in said
