"""Server-rendered pages: Jinja2 templates of a package over the shared layout."""

from __future__ import annotations

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from p2pacs import languages
from p2pacs.languages.choice import LANGUAGES
from p2pacs.languages.formats import whole
from p2pacs.languages.kept_details import refusal_words
from p2pacs.languages.texts import plural
from p2pacs.version import own_version
from p2pacs.web.answers import Answer

_HERE = Path(__file__).parent


class Pages:
    """The templates of one web side; ``layout.html`` and ``error.html`` come from here."""

    def __init__(self, templates: Path, base: str = "layout.html", **everywhere: object) -> None:
        """Load templates.

        Args:
            templates: their folder.
            base: the template that error pages stand in; it sees ``session``, which is None as
                long as nobody is known to be signed in.
            everywhere: what every template sees, beside ``version``.
        """
        self._environment = Environment(
            loader=ChoiceLoader(
                [FileSystemLoader(templates), FileSystemLoader(_HERE / "templates")]
            ),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.policies["ext.i18n.trimmed"] = True
        # What ``{% trans %}`` calls: with its variables; all is escaped.
        self._environment.newstyle_gettext = True  # type: ignore[attr-defined]
        self._environment.globals.update(_=_text, gettext=_text, ngettext=_counted)
        self._environment.globals.update(language=languages.current, languages=LANGUAGES)
        self._environment.filters.update(said=languages.said, refusal=refusal_words)
        self._environment.globals.update(everywhere, base=base, version=own_version())

    def filter(self, **filters: object) -> None:
        """Add template filters."""
        self._environment.filters.update(filters)

    def page(
        self, request: Request, template: str, *, status: int = 200, **context: object
    ) -> Response:
        """A page; templates also see ``request``."""
        html = self._environment.get_template(template).render(request=request, **context)
        return HTMLResponse(html, status_code=status)

    def error(self, request: Request, answer: Answer) -> Response:
        """The page for an error (for `error_handlers`)."""
        session = getattr(request.state, "session", None)
        return self.page(
            request, "error.html", status=answer.status, answer=answer, session=session
        )


def _text(text: str, /, **values: object) -> str:
    return escape(languages.said(text)) % values


def _counted(one: str, many: str, number: int, /, **values: object) -> str:
    return escape(plural(one, many, number)) % {"num": whole(number), **values}


class _Styles(StaticFiles):
    """Static files that browsers may keep for an hour."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def static_files() -> BaseRoute:
    """The route ``/static``: the shared style sheet and icon."""
    return Mount("/static", _Styles(directory=_HERE / "static"), name="static")
