import threading
from collections.abc import Iterator

import pytest

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse._feeder import Feeder, Nothing
from p2pacs.errors import NoSourceError
from tests.p2pacs.dimse.samples import series


def test_all_and_then_the_end() -> None:
    feeder = Feeder(iter(series(5)))
    assert [feeder.take(10) for _ in range(6)] == [*series(5), Nothing.MORE]
    feeder.stop()


def test_nothing_yet_while_the_iterator_blocks() -> None:
    release = threading.Event()

    def instances() -> Iterator[EncodedInstance]:
        release.wait()
        yield from series(1)

    feeder = Feeder(instances())
    assert feeder.take(0.001) is Nothing.YET
    release.set()
    assert feeder.take(10) == series(1)[0]
    feeder.stop()


def test_its_error_comes_after_what_it_gave() -> None:
    def instances() -> Iterator[EncodedInstance]:
        yield from series(1)
        raise NoSourceError("nobody has the rest")

    feeder = Feeder(instances())
    assert feeder.take(10) == series(1)[0]
    with pytest.raises(NoSourceError):
        feeder.take(10)
    feeder.stop()


def test_stopped_it_closes_a_generator_in_its_own_thread() -> None:
    closed = threading.Event()

    def instances() -> Iterator[EncodedInstance]:
        try:
            while True:
                yield from series(1)
        finally:
            closed.set()

    feeder = Feeder(instances())
    feeder.take(10)
    feeder.stop()
    assert closed.wait(10)
