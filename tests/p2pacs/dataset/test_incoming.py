"""Instances that are gathered in memory, for whoever keeps them as a whole."""

from p2pacs.dataset.incoming import IncomingInMemory, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from tests.conformance.instances import make


def test_pieces_are_handed_on_as_an_instance() -> None:
    sent, kept = make("1.2.1"), list[EncodedInstance]()
    incoming = IncomingInMemory(InstanceUids.of(sent), kept.append)
    for at in range(0, len(sent.data), 1000):
        incoming.write(sent.data[at : at + 1000])
    assert not kept
    incoming.keep()
    incoming.close()
    assert kept == [sent]


def test_what_is_closed_before_is_not() -> None:
    sent, kept = make("1.2.1"), list[EncodedInstance]()
    incoming = IncomingInMemory(InstanceUids.of(sent), kept.append)
    incoming.write(sent.data)
    incoming.close()
    assert not kept
