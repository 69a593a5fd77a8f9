"""What a running broker tells Prometheus, read by Prometheus' own parser."""

from pathlib import Path

import trio

from broker.config import BrokerSettings
from broker.metrics import METRICS
from p2pacs.settings import MetricsSettings
from tests.broker.test_app import Running, folder, settings  # noqa: F401 - fixtures
from tests.p2pacs.metrics.samples import Samples, scraped


async def test_the_pacs_and_the_members_are_seen(
    folder: Path,  # noqa: F811
    settings: BrokerSettings,  # noqa: F811
) -> None:
    listen = MetricsSettings.model_validate({"listen": "127.0.0.1:0"})
    running = Running(folder, settings.model_copy(update={"metrics": listen}))
    async with trio.open_nursery() as nursery:
        await nursery.start(running.run)
        samples, names = Samples(), set[str]()
        while samples.get(("p2pacs_pacs_up", ())) != 1:
            samples, names = await scraped(running.said["metrics"])
        assert names == {one.name for one in METRICS}
        assert samples["p2pacs_catalogue_studies", ()] == 1
        assert samples["p2pacs_pacs_looked_timestamp_seconds", ()] > 0
        assert samples["p2pacs_members", ("broker",)] == 1
        assert samples["p2pacs_publication_instances_wanted", ()] >= 0
        assert samples["p2pacs_certificate_expires_timestamp_seconds", ("member",)] > 0
        assert samples["p2pacs_health", ("pacs",)] == 0
        [(_, labels)] = [one for one in samples if one[0] == "p2pacs_info"]
        assert labels[:2] == ("broker", "broker")
        running.stop.set()
