import pytest

from broker.pages.studies.publication_words import is_troubled, publication_words
from p2pacs.errors import PacsUnreachableError
from p2pacs.ids import StudyId
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage

STUDY = StudyId(bytes(16))


def _progress(**known: object) -> PublishProgress:
    return PublishProgress(STUDY, "1.2.3", **known)


@pytest.mark.parametrize("stage", PublishStage)
def test_every_stage_has_words_and_a_state(stage: PublishStage) -> None:
    told = publication_words(_progress(stage=stage))
    assert told["study"] == str(STUDY)
    assert told["words"]
    assert told["state"] in {"paused", "fetching", "complete", "failed"}
    assert "1.2.3" not in str(told)


@pytest.mark.parametrize(
    ("wanted", "done", "amount", "percent"),
    [
        (0, 0, "", None),
        (0, 3, "", None),  # it is not known yet how many there are
        (4, 1, "1 of 4 images", 25),
        (3, 2, "2 of 3 images", 66),
        (3, 4, "4 of 3 images", 100),  # more came than the PACS lists
    ],
)
def test_how_far_it_is(wanted: int, done: int, amount: str, percent: int | None) -> None:
    told = publication_words(_progress(instances_wanted=wanted, instances_done=done))
    assert (told["amount"], told["percent"]) == (amount, percent)


def test_what_was_left_out_is_told_with_its_reason() -> None:
    progress = _progress(instances_wanted=2, instances_done=1, bytes_read=1_000_000)
    assert not is_troubled(progress)
    progress.failed["1.2.3.9"] = "its file is\x1b lost"
    told = publication_words(progress)
    assert is_troubled(progress)
    assert told["amount"] == "1 of 2 images, 1 image is left out"
    assert told["read"] == "1.0 MB from the PACS"
    assert "its file is" in told["why"]
    assert "\x1b" not in told["why"]
    assert "1.2.3.9" not in str(told)


async def test_why_it_failed() -> None:
    progress = _progress()
    progress.end(PacsUnreachableError("the PACS is away"))
    assert publication_words(progress)["why"] == "the PACS is away"
    assert is_troubled(progress)
