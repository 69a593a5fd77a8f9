"""What a study's reader would hand to the workers, of an instance that was just coded."""

from attrs import evolve

from p2pacs.study.coding import CodedInstance
from p2pacs.study.gathered import Gathered, GatheredBlob
from p2pacs.study.images import HTJ2K_NEXT


def gathered(coded: CodedInstance) -> Gathered:
    blobs: list[GatheredBlob] = []
    for blob in coded.blobs:
        if blob.codec == HTJ2K_NEXT:
            blobs[-1] = evolve(blobs[-1], coded=blobs[-1].coded + blob.coded)
        else:
            blobs.append(GatheredBlob(blob.codec, blob.size, blob.coded))
    return Gathered(
        coded.sop_class_uid,
        coded.sop_instance_uid,
        coded.transfer_syntax_uid,
        coded.sha256,
        coded.size,
        "study",
        tuple(blobs),
    )
