"""Heads of parts and files, as they are made once and as they are made each time."""

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance, part10_head
from p2pacs.dicomweb.multipart_writer import part_head
from p2pacs.dicomweb.server.file_heads import FileHeads, content_type
from p2pacs.study.study_index import InstanceEntry

DATA = b"\x08\x00\x60\x00CS\x02\x00CT"
UIDS = st.lists(st.integers(1, 10**9), min_size=1, max_size=6).map(
    lambda numbers: ".".join(map(str, numbers))
)
"""By a regular expression 100 examples once took longer than two minutes."""
ENTRIES = st.builds(
    lambda sop_class, uid, syntax, size: InstanceEntry(
        sop_class, uid, "1.4", syntax, b"", size, (), b""
    ),
    st.sampled_from(["1.2", "1.23"]),
    UIDS,
    st.sampled_from(["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]),
    st.integers(0, 2**32),
)


@given(st.lists(ENTRIES, max_size=8))
def test_each_is_as_if_it_was_made_alone(entries: list[InstanceEntry]) -> None:
    heads, total = FileHeads("b"), 0
    for one in entries:
        syntax = one.transfer_syntax_uid
        file = part10_head(one.sop_class_uid, one.sop_instance_uid, syntax)
        alone = part_head("b", content_type(syntax), size=len(file) + one.size) + file
        assert heads.of(one) == alone
        again = EncodedInstance.from_part10(file + DATA)
        assert again == EncodedInstance(one.sop_class_uid, one.sop_instance_uid, syntax, DATA)
        total += len(alone) + one.size
    assert FileHeads("b").parts_bytes(entries) == total
