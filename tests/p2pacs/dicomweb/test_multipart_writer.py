from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dicomweb.multipart import MultipartParser, boundary_of
from p2pacs.dicomweb.multipart_writer import boundary_for, closing, part_head, related


@given(st.lists(st.binary(), min_size=1, max_size=4), st.booleans(), st.text())
def test_what_is_written_is_read(bodies: list[bytes], counted: bool, etag: str) -> None:
    boundary = boundary_for(etag)
    assert boundary_of(related("image/jls", boundary)) == boundary
    parser, found = MultipartParser(boundary), []
    for number, body in enumerate(bodies):
        size = len(body) if counted else None
        head = part_head(boundary, "image/jls; transfer-syntax=1.2", f"/frames/{number}", size)
        found += parser.feed(head + body)
    found += parser.feed(closing(boundary))
    parser.finish()
    assert [part.body() for part in found] == bodies
    assert {part.parameter("transfer-syntax") for part in found} == {"1.2"}
    assert [part.headers["content-location"] for part in found] == [
        f"/frames/{number}" for number in range(len(bodies))
    ]


def test_the_same_thing_has_the_same_boundary() -> None:
    assert boundary_for("a") == boundary_for("a") != boundary_for("b")
