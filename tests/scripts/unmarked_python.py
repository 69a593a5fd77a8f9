"""Sentences in modules that would stand on a page in English, whoever reads it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

REFUSALS: Final = {
    "AuthenticationError",
    "BusyError",
    "ForbiddenError",
    "HTTPException",
    "HealthCheck",
    "NotAcceptableError",
    "NotFoundError",
    "RevokedError",
    "StateError",
    "StudyNotFoundError",
    "TooManyAttemptsError",
    "UsageError",
}
"""What carries a text to a page."""

MARKS: Final = {"Phrase", "counted", "_", "N_", "ngettext"}

_WORDS: Final = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
"""What reads as a piece of a sentence."""


def unmarked_python(source: str, *, page: bool) -> Iterator[str]:
    """Line and text of each sentence that no mark stands around.

    Args:
        source: of a module.
        page: whether it writes pages: a sentence that is put together is found anywhere in it.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _name(node.func) in REFUSALS:
            for argument in node.args:
                yield from _sentences(argument)
        elif isinstance(node, ast.JoinedStr) and _marked_inside(node):
            yield f"{node.lineno}: marked inside an f-string, where it is not found"
        elif page and isinstance(node, ast.JoinedStr):
            pieces = [one.value for one in node.values if isinstance(one, ast.Constant)]
            if any(_WORDS.search(str(one)) for one in pieces):
                yield f"{node.lineno}: {ast.unparse(node)}"


def _sentences(node: ast.expr) -> Iterator[str]:
    """Texts in an expression, but those in calls: marks, and what has its own result."""
    if isinstance(node, ast.JoinedStr):
        yield f"{node.lineno}: {ast.unparse(node)}"
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str) and node.value:
            yield f"{node.lineno}: {node.value}"
    elif isinstance(node, ast.IfExp | ast.BinOp | ast.BoolOp):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _sentences(child)


def _marked_inside(node: ast.JoinedStr) -> bool:
    return any(isinstance(one, ast.Call) and _name(one.func) in MARKS for one in ast.walk(node))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
