"""Which setting names an endpoint that cannot be listened on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel

from p2pacs.process.listening import ListenError
from p2pacs.units import Endpoint


@contextmanager
def naming_settings(settings: BaseModel) -> Iterator[None]:
    """Have an error of whoever cannot listen name the setting, too.

    Raises:
        ListenError: the same, with the first setting in which its endpoint stands.
    """
    try:
        yield
    except ListenError as error:
        for name, endpoint in _endpoints(settings):
            if endpoint == error.endpoint:
                raise ListenError(endpoint, error.cause, name) from error
        raise


def _endpoints(settings: BaseModel, table: str = "") -> Iterator[tuple[str, Endpoint]]:
    """All endpoints of settings and of their tables, by their keys."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _endpoints(value, f"{table}{name}.")
        elif isinstance(value, Endpoint):
            yield f"{table}{name}", value
        elif isinstance(value, (list, tuple)):
            yield from ((f"{table}{name}", one) for one in value if isinstance(one, Endpoint))
