from p2pacs import limits


def test_the_caps_fit_into_each_other() -> None:
    assert limits.PLAIN_BYTES + limits.SEAL_BYTES == limits.CHUNK_BYTES
    assert limits.SEGMENT_CHUNKS * 36 + 1024 <= limits.CHUNK_BYTES
    assert limits.ROOT_BYTES + 1024 <= limits.FRAME_BYTES
    assert limits.BLOCK_BYTES + 1024 <= limits.FRAME_BYTES
    assert (limits.STUDY_CHUNKS // limits.SEGMENT_CHUNKS + 2) * 40 + 4096 * 10 <= limits.ROOT_BYTES
    # a Join carries one bit for each chunk
    assert limits.STUDY_CHUNKS // 8 + 1024 <= limits.FRAME_BYTES
