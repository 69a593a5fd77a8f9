"""What the tests of both programs ask of an endpoint."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[str, ...]], float]
"""By name and values of the labels, in the order of their names."""


async def scraped(where: str) -> tuple[Samples, set[str]]:
    """The samples at an endpoint, and the names of all metrics, those without a value too."""
    async with httpx.AsyncClient(base_url=f"http://{where}", trust_env=False, timeout=60) as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200, answer.text
    samples, names = Samples(), set[str]()
    for family in text_string_to_metric_families(answer.text):
        names.add(family.name + ("_total" if family.type == "counter" else ""))
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            samples[sample.name, labels] = sample.value
    return samples, names
