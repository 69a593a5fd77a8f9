"""What somebody looks at in a study now: a series, some instances. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

from attrs import frozen

from p2pacs.errors import UsageError
from peer.retrieval.instances.live_index import Known

KEYS: Final = ("series", "series_instance_uid", "instances")


@frozen
class ViewRequest:
    """A part of a study: what passes all that is given."""

    series: int | None = None
    """Place of a series in the study, from 1, in the order of first mention."""
    series_instance_uid: str | None = None
    instances: tuple[int, int] | None = None
    """The first and the last instance, by their numbers in the study."""

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self | None:
        """The view in a JSON object; None if it names nothing: nobody looks any more.

        Raises:
            UsageError: an unknown key, or a value that cannot be.
        """
        if unknown := set(body).difference(KEYS):
            raise UsageError(f"a view has no {', '.join(sorted(unknown))}: {', '.join(KEYS)}")
        series, uid, instances = (body.get(key) for key in KEYS)
        if series is not None and not _is_place(series):
            raise UsageError("series must be a number from 1")
        if uid is not None and not isinstance(uid, str):
            raise UsageError("series_instance_uid must be a text")
        if series is None and uid is None and instances is None:
            return None
        return cls(series, uid, None if instances is None else _range(instances))

    def shows(self, known: Known) -> bool:
        """Whether an instance is looked at."""
        return (
            (self.series is None or known.series == self.series)
            and self.series_instance_uid in (None, known.entry.series_instance_uid)
            and (self.instances is None or self.instances[0] <= known.number <= self.instances[1])
        )


def shown(request: ViewRequest, known: Sequence[Known]) -> Iterator[Known]:
    """The instances that are looked at, in the order of the study."""
    first, last = request.instances or (1, len(known))
    return filter(request.shows, known[first - 1 : last])


def _is_place(value: object) -> bool:
    return type(value) is int and value >= 1


def _range(value: object) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_place, value)):
        first, last = value
        if first <= last:
            return first, last
    raise UsageError("instances must be [first, last], numbers from 1")
