"""The page of settings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import structlog
import trio
from attrs import frozen
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from p2pacs.accounts.sessions import Session
from p2pacs.errors import UsageError
from p2pacs.pages.forms import sentence, text_of
from p2pacs.web.pages import Pages
from peer.config import PeerSettings, load_peer_settings, save_peer_settings
from peer.pages.settings.settings_form import changed_settings, setting_fields

log = structlog.get_logger(__name__)


@frozen
class SettingsViews:
    """What an administrator may change here."""

    pages: Pages
    folder: Path
    """Of the peer; what counts is what stands in it: somebody may have edited it meanwhile."""

    async def settings(self, request: Request, session: Session) -> Response:
        """The form."""
        return self._form(request, session, await self._load())

    async def change(self, request: Request, session: Session, form: FormData) -> Response:
        """Write what was typed to peer.toml; it counts from the next start on."""
        settings = await self._load()
        typed = {field.name: text_of(form, field.name) for field in setting_fields(settings)}
        try:
            changed = changed_settings(settings, typed)
        except UsageError as error:
            return self._form(request, session, settings, typed, wrong=sentence(str(error)))
        await trio.to_thread.run_sync(partial(save_peer_settings, self.folder, changed))
        log.info("settings were changed", account=session.account)
        return RedirectResponse("/settings?saved=1", status_code=303)

    async def _load(self) -> PeerSettings:
        return await trio.to_thread.run_sync(load_peer_settings, self.folder)

    def _form(
        self,
        request: Request,
        session: Session,
        settings: PeerSettings,
        typed: dict[str, str] | None = None,
        *,
        wrong: str = "",
    ) -> Response:
        return self.pages.page(
            request,
            "settings.html",
            status=400 if wrong else 200,
            session=session,
            live="",
            fields=setting_fields(settings, typed),
            wrong=wrong,
            saved="saved" in request.query_params,
        )
