"""What the OpenAPI 3.1 descriptions of our HTTP interfaces have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

Described = dict[str, Any]
"""A part of a description."""

JSON: Final = "application/json"

ERROR: Final[Described] = {
    "type": "object",
    "properties": {
        "error": {"type": "string"},
        "message": {"description": "What to do", "type": "string"},
        "transient": {"description": "Whether to try again", "type": "boolean"},
    },
    "required": ["error", "message", "transient"],
}
"""The schema of what `p2pacs.errors.report` gives; `error` expects it as ``Error``."""


def query(name: str, description: str, schema: Described | None = None) -> Described:
    """A parameter in the query; a text where no schema says otherwise."""
    schema = schema or {"type": "string"}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def body(description: str, kinds: Sequence[str], schema: Described | None = None) -> Described:
    """An answer, in each of these media types."""
    return {
        "description": description,
        "content": {kind: {} if schema is None else {"schema": schema} for kind in kinds},
    }


def error(description: str) -> Described:
    """An answer that is an error."""
    return body(description, [JSON], of("Error"))


def of(schema: str) -> Described:
    """A reference to one of the description's own schemas."""
    return {"$ref": f"#/components/schemas/{schema}"}
