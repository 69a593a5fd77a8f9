"""docs/monitoring.md and deploy/monitoring/ stay true."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from p2pacs.metrics.definitions import METRICS, MetricDefinition, metrics_of

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0][
    "rules"
]

_FROM_ELSEWHERE = {"up"}
"""Of Prometheus itself."""


def _row(metric: MetricDefinition) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "\u2013"
    return f"| `{metric.name}` | {metric.kind} | {metric.side} | {labels} | {metric.text} |"


def test_every_metric_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    table = text[text.index("| metric | kind |") :].split("\n\n")[0].splitlines()[2:]
    assert table == [_row(metric) for metric in METRICS]


def test_names_are_as_prometheus_wants_them() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"(?:p2pacs|process)_[a-z0-9_]+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.text.endswith(".")
        assert not {"study", "patient", "uid", "address"} & set(metric.labels)


def test_members_are_named_by_the_broker_alone() -> None:
    assert not [one for one in metrics_of("peer") if "member" in one.labels]


def _names() -> set[str]:
    """What can be queried: of a histogram its parts."""
    return {
        f"{metric.name}{end}"
        for metric in METRICS
        for end in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
    }


def _queried(expression: str) -> set[str]:
    """The metrics that an expression names."""
    aside = r"\{[^}]*\}|\[[^]]*\]|\b(?:by|on) ?\([^)]*\)"
    bare = re.sub(aside, " ", expression)
    return set(re.findall(r"\b(?:p2pacs_|process_|up\b)\w*(?!\w*\s*\()", bare))


def _labels_of(expression: str) -> Iterator[tuple[str, str]]:
    """(metric, label) of each selector, and of what is summed by."""
    for name, selector in re.findall(r"(\w+)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)\s*=", selector):
            yield name, label


def _expressions() -> list[str]:
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return [*shown, *(rule["expr"] for rule in RULES)]


@pytest.mark.parametrize("expression", _expressions())
def test_every_expression_names_metrics_that_exist(expression: str) -> None:
    assert _queried(expression)
    assert _queried(expression) <= _names() | _FROM_ELSEWHERE
    known = {
        re.sub(r"_(?:bucket|sum|count)$", "", name): metric
        for metric in METRICS
        for name in (metric.name,)
    }
    for name, label in _labels_of(expression):
        if name in _FROM_ELSEWHERE or label in ("instance", "job", "le"):
            continue
        assert label in known[re.sub(r"_(?:bucket|sum|count)$", "", name)].labels


def test_the_expressions_are_read_right() -> None:
    said = 'sum by (p2pacs_x) (rate(p2pacs_a_total{role="p2pacs_b"}[5m])) / process_max_fds'
    read = _queried(said)
    assert read == {"p2pacs_a_total", "process_max_fds"}
    assert not _queried("p2pacs_wrong(1)")
    assert list(_labels_of('a{b="c",d=~"e"}')) == [("a", "b"), ("a", "d")]


def test_every_metric_is_shown_or_watched() -> None:
    """What nobody looks at need not be told; but what every program has, who wants it knows."""
    queried = set().union(*map(_queried, _expressions()))
    ours = {one.name for one in METRICS if one.name.startswith("p2pacs_")}
    unseen = {name for name in ours if not any(one.startswith(name) for one in queried)}
    assert unseen == {"p2pacs_pacs_looked_timestamp_seconds"}


def test_every_alert_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
