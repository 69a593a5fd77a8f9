from broker.pages.studies.live_publications import LivePublications
from p2pacs.ids import StudyId
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import FewStudies, content_of

STUDY = StudyId(bytes(16))


async def test_open_pages_are_told_of_each_publication(ground: Ground) -> None:
    studies = FewStudies()
    live = LivePublications(content_of(ground, studies=studies))
    await live.prepare()
    assert live.look() == {"transfers": {"shown": []}}
    assert not live.moving
    progress = PublishProgress(STUDY, "1.2", instances_wanted=4, instances_done=1)
    progress.stage = PublishStage.RETRIEVING
    studies.publications[STUDY] = progress
    told = live.look()[f"transfer-{STUDY}"]
    assert (told["state"], told["percent"]) == ("fetching", 25)
    assert live.moving
    progress.end(None)
    assert not live.moving
