"""A scrape as text: Prometheus' text format, or OpenMetrics where that is asked for.

The only module that imports prometheus-client, and imported only where metrics are switched on
(half a megabyte, 30 ms).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from p2pacs.metrics.definitions import MetricDefinition
from p2pacs.metrics.readings import MetricReading, Scrape


def exposed(scrape: Scrape, metrics: Sequence[MetricDefinition], accept: str) -> tuple[bytes, str]:
    """The text of a scrape.

    Args:
        scrape: what was read.
        metrics: all that this program tells; of one without a reading there is the head alone.
        accept: the Accept header of the request.

    Returns:
        The text, and its media type.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OfScrape(scrape, metrics))
    ProcessCollector(registry=registry)
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _OfScrape(Collector):
    """Gives the library what was read."""

    def __init__(self, scrape: Scrape, metrics: Sequence[MetricDefinition]) -> None:
        self._scrape = scrape
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """A family for each metric."""
        read: dict[str, list[MetricReading]] = {}
        for one in self._scrape.readings:
            read.setdefault(one.name, []).append(one)
        for metric in self._metrics:
            if metric.name.startswith("p2pacs_"):
                yield self._family(metric, read)

    def _family(self, metric: MetricDefinition, read: dict[str, list[MetricReading]]) -> Metric:
        name = metric.name.removeprefix("p2pacs_")
        if metric.kind == "histogram":
            return self._histogram(metric, name.removesuffix("_seconds"))
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = kind(metric.name, metric.text, labels=metric.labels)
        for one in read.get(name.removesuffix("_total"), ()):
            family.add_metric(one.labels, one.value)
        return family

    def _histogram(self, metric: MetricDefinition, name: str) -> Metric:
        family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        durations = self._scrape.durations.get(name)
        for one in durations.read() if durations is not None else ():
            pairs = [(_bound(bound), float(count)) for bound, count in one.buckets]
            family.add_metric(one.labels, pairs, one.seconds)
        return family


def _bound(seconds: float) -> str:
    return "+Inf" if seconds == float("inf") else str(seconds)
