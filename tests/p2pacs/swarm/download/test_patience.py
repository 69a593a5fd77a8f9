import pytest

from p2pacs.swarm.download.patience import DownloadTuning

TUNING = DownloadTuning(hope_seconds=30, silent_seconds=90, publishing_seconds=300)


@pytest.mark.parametrize(
    ("publishing", "awaited", "seconds"),
    [(False, False, 30), (False, True, 90), (True, False, 300), (True, True, 300)],
)
def test_hope_lasts_while_somebody_may_still_give(
    publishing: bool, awaited: bool, seconds: float
) -> None:
    def gives_up(still: float) -> bool:
        return TUNING.gives_up(still, publishing=publishing, awaited=lambda: awaited)

    assert not gives_up(seconds - 1)
    assert gives_up(seconds)


def test_chunks_are_gone_through_only_when_it_is_time() -> None:
    def never() -> bool:
        raise AssertionError("it costs too much to be asked at every tick")

    assert not TUNING.gives_up(29, publishing=False, awaited=never)
    assert TUNING.gives_up(90, publishing=False, awaited=never)
