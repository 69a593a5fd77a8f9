from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from p2pacs.metrics.definitions import METRICS, metrics_of
from p2pacs.metrics.durations import Durations
from p2pacs.metrics.exposition import exposed
from p2pacs.metrics.readings import MetricReading, Scrape

ODD = 'a "quoted"\\ name\nin two lines'


def _scrape() -> Scrape:
    operations = Durations((1.0,))
    operations.add(0.5, "C-FIND", "done")
    operations.add(2.0, "C-FIND", "done")
    readings = (
        MetricReading("links", 2, ("replica",)),
        MetricReading("sent_bytes", 10**12, ("hospital",)),
        MetricReading("member_linked", True, (ODD, "hospital")),
    )
    return Scrape(readings, {"dimse_operation": operations})


def _samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_parser_reads_what_was_read() -> None:
    text, media_type = exposed(_scrape(), METRICS, "")
    assert media_type.startswith("text/plain; version=")
    samples = _samples(text.decode())
    assert samples["p2pacs_links", ("replica",)] == 2
    assert samples["p2pacs_sent_bytes_total", ("hospital",)] == 10**12
    assert samples["p2pacs_member_linked", (ODD, "hospital")] == 1
    assert samples["p2pacs_dimse_operation_seconds_count", ("C-FIND", "done")] == 2
    assert samples["p2pacs_dimse_operation_seconds_bucket", ("1.0", "C-FIND", "done")] == 1
    assert samples["p2pacs_dimse_operation_seconds_sum", ("C-FIND", "done")] == 2.5


def test_openmetrics_where_it_is_asked_for() -> None:
    text, media_type = exposed(_scrape(), METRICS, "application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    names = {family.name for family in open_metrics(text.decode())}
    assert "p2pacs_sent_bytes" in names


def test_what_has_no_value_yet_has_a_head_all_the_same() -> None:
    text, _ = exposed(Scrape((), {}), metrics_of("peer"), "")
    for metric in metrics_of("peer"):
        if metric.name.startswith("p2pacs_"):
            assert f"# TYPE {metric.name} {metric.kind}\n" in text.decode()
