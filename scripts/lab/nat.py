"""What a router does to the addresses of TCP, as rules for nft. Pure: no clock and no I/O.

In the namespace of every router its outer device is called `LINE` and its inner one `INNER`.
Words as in RFC 4787 and RFC 5382: a mapping gives a connection its outer port, a filter decides
which packets from outside belong to it.
"""

from __future__ import annotations

import enum
from typing import Final

from attrs import evolve, frozen

LINE: Final = "line"
INNER: Final = "inner"
HAIRPIN: Final = "+hairpin"

BLOCK: Final = "20000-29999"
"""Outer ports that a provider's router gives to one customer (RFC 6888, REQ-6)."""

REMEMBERED: Final = "1h"
"""How long a mapping without packets is known: longer than any run."""


class OuterPorts(enum.Enum):
    """Which outer port a connection gets."""

    SAME = "masquerade"
    """The inner one, as long as nobody else has it, whoever is spoken to."""
    BLOCK = f"masquerade to :{BLOCK}"
    """Another one, but the same for all that are spoken to from one inner port."""
    RANDOM = "masquerade fully-random"
    """A new one for each connection: symmetric."""


class LetsIn(enum.Enum):
    """From whom packets come in to an outer port that is in use."""

    SPOKEN_TO = enum.auto()
    """Address and port that were spoken to."""
    ADDRESS = enum.auto()
    """Any port of an address that was spoken to."""
    ANYBODY = enum.auto()


@frozen
class Layer:
    """One router."""

    ports: OuterPorts = OuterPorts.SAME
    lets_in: LetsIn = LetsIn.SPOKEN_TO
    refuses: bool = False
    """Whether what does not come in is answered with RST; else it is dropped."""
    hairpin: bool = False
    """Whether those inside reach each other by the outer address."""


KINDS: Final = {
    "preserving": (Layer(),),
    "refusing": (Layer(refuses=True),),
    "address": (Layer(lets_in=LetsIn.ADDRESS),),
    "cone": (Layer(lets_in=LetsIn.ANYBODY),),
    "symmetric": (Layer(OuterPorts.RANDOM),),
    "double": (Layer(), Layer()),
    "carrier": (Layer(), Layer(OuterPorts.BLOCK)),
}
"""Kind → its routers, the hospital's own first."""

NAMES: Final = tuple(name + more for name in KINDS for more in ("", HAIRPIN))


def layers(name: str) -> tuple[Layer, ...]:
    """The routers of a kind, the hospital's own first.

    Args:
        name: one of `KINDS`, or that and `HAIRPIN`.

    Raises:
        ValueError: none.
    """
    kind = name.removesuffix(HAIRPIN)
    if kind not in KINDS:
        raise ValueError(f"{name}: no kind of NAT ({', '.join(KINDS)}, each with {HAIRPIN} or not)")
    return tuple(evolve(layer, hairpin=kind != name) for layer in KINDS[kind])


def parse_kinds(text: str) -> tuple[str, ...]:
    """Kinds that are separated by commas.

    Raises:
        ValueError: one of them is none.
    """
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        layers(name)
    return names


def rules(layer: Layer, outer: str) -> str:
    """What ``nft -f`` takes.

    Args:
        layer: The router.
        outer: Its IPv4 address on `LINE`.
    """
    return "\n".join(
        [
            "table ip nat_lab {",
            "map inside { type inet_service : ipv4_addr . inet_service;", f"{_KEPT} }}",
            f"set spoken_to {{ type ipv4_addr . inet_service; {_KEPT} }}",
            *_chain("prerouting", "nat", -100, _way_in(layer, outer)),
            *_chain("postrouting", "nat", 100, _way_out(layer, outer)),
            *_chain("learn", "filter", 150, _LEARN, hook="postrouting"),
            *_chain("forward", "filter", 0, _filter(layer, "ct status dnat accept")),
            *_chain("input", "filter", 0, _filter(layer, "icmp type echo-request accept")),
            "}",
            "",
        ]
    )  # fmt: skip


_KEPT: Final = f"flags dynamic,timeout; timeout {REMEMBERED}; size 65535;"

_LEARN: Final = [  # after the outer port is known, which two insiders may both have wanted
    f'oifname "{LINE}" ct direction original meta l4proto tcp'
    " update @inside { tcp sport : ct original ip saddr . ct original proto-src }",
    f'oifname "{LINE}" ct direction original meta l4proto tcp'
    " update @spoken_to { ip daddr . tcp sport }",
]


def _chain(
    name: str, kind: str, priority: int, body: list[str], hook: str | None = None
) -> list[str]:
    return [
        f"chain {name} {{",
        f"type {kind} hook {hook or name} priority {priority}; policy accept;",
        *body,
        "}",
    ]


def _way_in(layer: Layer, outer: str) -> list[str]:
    there = "dnat ip to tcp dport map @inside"
    body = [f'iifname "{INNER}" ip daddr {outer} {there}'] if layer.hairpin else []
    if layer.lets_in is LetsIn.ANYBODY:
        body.append(f'iifname "{LINE}" {there}')
    elif layer.lets_in is LetsIn.ADDRESS:
        body.append(f'iifname "{LINE}" ip saddr . tcp dport @spoken_to {there}')
    return body


def _way_out(layer: Layer, outer: str) -> list[str]:
    ported = "meta l4proto { tcp, udp } " if layer.ports is OuterPorts.BLOCK else ""
    body = [f'oifname "{LINE}" {ported}{layer.ports.value}', f'oifname "{LINE}" masquerade']
    if layer.hairpin:
        body.append(f'iifname "{INNER}" oifname "{INNER}" ct status dnat snat to {outer}')
    return body


def _filter(layer: Layer, more: str) -> list[str]:
    refusal = [f'iifname "{LINE}" meta l4proto tcp reject with tcp reset'] if layer.refuses else []
    return [
        f'iifname "{LINE}" ct state established,related accept',
        f'iifname "{LINE}" {more}',
        *refusal,
        f'iifname "{LINE}" drop',
    ]
