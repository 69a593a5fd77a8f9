"""Forms that browsers send: their fields as texts, and where one goes on to."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from p2pacs.languages import _
from p2pacs.languages.kept_details import refusal_words


async def read_form(request: Request) -> FormData:
    """The fields of a form that was sent.

    Raises:
        HTTPException: 400: a field's text is none. A multipart form names its own encoding, and
            some (``unicode_escape``) give half characters that nothing can write.
    """
    form = await request.form()
    for name, value in form.multi_items():
        for text in (name, value):
            if isinstance(text, str) and not _is_text(text):
                raise HTTPException(400, _("This form has characters that are none."))
    return form


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_of(form: Mapping[str, object], name: str) -> str:
    """A text field; anything else (a file) counts as empty."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def secret_of(form: Mapping[str, object], name: str) -> str:
    """A password field, with the spaces at its ends; anything else counts as empty."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def sentence(text: str) -> str:
    """A message of the error tree as a sentence on a page."""
    text = refusal_words(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def see(path: str) -> Response:
    """Go on to another page, so that a reload repeats nothing."""
    return RedirectResponse(path, status_code=303)
