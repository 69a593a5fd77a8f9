"""What calls of the local interface are asked with, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from p2pacs.errors import UsageError
from p2pacs.limits import OUTGOING_TOGETHER
from p2pacs.swarm.scheduling.priority import Priority

ReadBody = Callable[[Request], Any]
"""Reads the body of a request, a JSON object."""


def read_list(body: Mapping[str, Any], name: str) -> list[Any]:
    """A list.

    Raises:
        UsageError: it is none, or too long.
    """
    value = body.get(name)
    if not isinstance(value, list) or len(value) > OUTGOING_TOGETHER:
        raise UsageError(f"{name} must be a list of {OUTGOING_TOGETHER} at most")
    return value


def read_texts(body: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts.

    Raises:
        UsageError: it is none, or too long.
    """
    values = read_list(body, name)
    if not all(isinstance(one, str) for one in values):
        raise UsageError(f"{name} must be a list of texts")
    return values


def read_priority(body: Mapping[str, Any]) -> Priority:
    """How urgent something is; as usual if nothing is said.

    Raises:
        UsageError: there is no such priority.
    """
    priority = body.get("priority", "interactive")
    if not isinstance(priority, str):
        raise UsageError("priority must be a text")
    try:
        return Priority.named(priority)
    except ValueError as error:
        raise UsageError(str(error)) from error
