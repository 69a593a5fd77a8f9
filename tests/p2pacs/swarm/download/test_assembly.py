from p2pacs.ids import VirtualAddress
from p2pacs.swarm.download.assembly import Assembly
from p2pacs.wire.messages.messages import Block

A, B = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))


def block(offset: int, data: bytes, size: int = 6) -> Block:
    return Block(bytes(16), 3, offset, size, data)


def test_a_whole_chunk_comes_through_as_it_is() -> None:
    data = b"abcdef"
    assert Assembly().add(A, block(0, data)) is data


def test_pieces_are_joined_for_each_member_apart() -> None:
    assembly = Assembly()
    assert assembly.add(A, block(0, b"abc")) is None
    assert assembly.add(B, block(0, b"uvw")) is None
    assert assembly.add(A, block(3, b"def")) == b"abcdef"
    assert assembly.add(B, block(3, b"xyz")) == b"uvwxyz"


def test_a_forgotten_part_begins_anew() -> None:
    assembly = Assembly()
    assembly.add(A, block(0, b"abc"))
    assembly.forget(A, 3)
    assembly.add(A, block(0, b"ABC"))
    assert assembly.add(A, block(3, b"DEF")) == b"ABCDEF"
    assembly.drop(A)
    assembly.forget(B, 3)
