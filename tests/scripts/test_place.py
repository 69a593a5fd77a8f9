"""Places on loopback: an address each, and one of its networks is a LAN."""

from scripts.place import LoopbackSite
from scripts.program import free_port


def test_hosts_of_the_lan_know_it() -> None:
    site = LoopbackSite()
    near, far = site.place(site.broker), site.place("127.2.0.1")
    assert (near.lan, far.lan) == ("127.1.0.0/16", None)
    assert (far.hosts, far.local, far.prefix) == (("127.2.0.1",), "127.2.0.1", [])


async def test_nobody_answers_where_nobody_listens() -> None:
    place = LoopbackSite().place("127.2.0.1")
    port = free_port(place.local)
    await place.reach(port)
    assert not place.answers(port)
