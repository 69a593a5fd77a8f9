from pathlib import Path

from broker.handlers.studies_now import StudiesNow
from p2pacs.wire.messages.messages import Announce
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs
from tests.broker.parts import FakePublisher, joined, open_parts


async def test_what_is_known_of_a_study(ground: Ground, tmp_path: Path) -> None:
    async with open_parts(ground, tmp_path, FakePacs()) as parts:
        publisher = FakePublisher(parts.studies, parts.store)
        known = StudiesNow(parts, publisher)  # type: ignore[arg-type]
        study = parts.studies.id_of("1.2.3")
        assert (known.copies(study), known.here(study), await known.root(study)) == ([], None, None)
        north, south, west = [
            (await joined(ground, name))[0].address for name in ("North", "South", "West")
        ]
        parts.holders.announce(north, Announce(study.raw, 1, held=True, complete=False))
        parts.holders.announce(south, Announce(study.raw, 1, held=True, complete=True))
        parts.holders.granted(west, study)
        assert list(known.copies(study)) == [(south, True), (north, False), (west, None)]
        await publisher.publish("1.2.3", ground.key)
        root = await known.root(study)
        assert root is not None
        assert (root.version, root.total_bytes) == (1, 1000)
