from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.instances.live_index import Known
from peer.retrieval.instances.viewport import ViewRequest, shown


def known(number: int, series: int, *chunks: int) -> Known:
    entry = InstanceEntry("1.1", f"1.2.{number}", f"1.3.{series}", "1.4", b"", 1, (), b"{}")
    return Known(number, entry, chunks, series, ((0, chunks),))


STUDY = [known(1, 1, 4, 5), known(2, 2, 6), known(3, 1, 5, 7), known(4, 2, 3, 6)]


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ({"series": 1}, [1, 3]),
        ({"series": 3}, []),
        ({"series_instance_uid": "1.3.2"}, [2, 4]),
        ({"instances": [2, 3]}, [2, 3]),
        ({"instances": [4, 99]}, [4]),
        ({"instances": [5, 99]}, []),
        ({"series": 2, "instances": [1, 3]}, [2]),
        ({"series": 1, "series_instance_uid": "1.3.2"}, []),
    ],
)
def test_what_is_shown(body: dict[str, Any], numbers: list[int]) -> None:
    view = ViewRequest.parse(body)
    assert view is not None
    assert [one.number for one in shown(view, STUDY)] == numbers


@pytest.mark.parametrize("body", [{}, {"series": None}])
def test_nobody_looks(body: dict[str, Any]) -> None:
    assert ViewRequest.parse(body) is None


@pytest.mark.parametrize(
    "body",
    [{"page": 1}, {"series": 0}, {"series": "1"}, {"series": True}, {"series_instance_uid": 5},
     {"instances": 3}, {"instances": [1]}, {"instances": [3, 2]}, {"instances": [0, 2]},
     {"instances": [1.0, 2]}, {"series": 1, "instances": [1, 2, 3]}],
)  # fmt: skip
def test_what_cannot_be(body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ViewRequest.parse(body)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["series", "series_instance_uid", "instances"]), json))
def test_any_body_is_a_view_or_a_usage_error(body: dict[str, Any]) -> None:
    try:
        view = ViewRequest.parse(body)
    except UsageError:
        return
    if view is not None:
        assert all(view.shows(one) for one in shown(view, STUDY))
