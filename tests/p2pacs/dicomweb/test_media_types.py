from pydicom.uid import AllTransferSyntaxes

from p2pacs.dataset.header import EXPLICIT
from p2pacs.dicomweb.media_types import (
    MEDIA_TYPES,
    NATIVE,
    bulk_syntax,
    is_video,
)


def test_every_transfer_syntax_with_images_has_a_media_type() -> None:
    without = [
        uid.name
        for uid in AllTransferSyntaxes
        if not uid.is_private and uid.is_encapsulated and uid not in MEDIA_TYPES
    ]
    # one has no media type of its own (PS3.18 table 8.7.3-5), the other are streams beside files
    assert all("Deflated" in name or "JPIP" in name or "SMPTE" in name for name in without)


def test_native_pixel_data_are_little_endian_whatever_they_came_in() -> None:
    assert {bulk_syntax(uid) for uid in NATIVE} == {EXPLICIT}
    assert NATIVE.isdisjoint(MEDIA_TYPES)
    assert bulk_syntax("1.2.840.10008.1.2.4.80") == "1.2.840.10008.1.2.4.80"


def test_a_video_has_no_frames_to_be_taken_apart() -> None:
    assert is_video("1.2.840.10008.1.2.4.102")
    assert not is_video("1.2.840.10008.1.2.4.50")
    assert not is_video(EXPLICIT)
