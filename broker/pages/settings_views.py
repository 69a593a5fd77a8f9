"""The page of the broker's settings: what is set, and what each setting is. Read alone."""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import Response

from broker.config import BROKER_TOML, BrokerSettings
from broker.pacs.address import WebAddress
from p2pacs.accounts.sessions import Session
from p2pacs.languages import _
from p2pacs.settings.writing import SettingLine, setting_tables, toml_value
from p2pacs.web.pages import Pages

PATH: Final = "/settings"


@frozen
class AdminSettingsViews:
    """The settings that the running broker has read."""

    settings: BrokerSettings
    pages: Pages

    async def show(self, request: Request, session: Session) -> Response:
        """All of them, table by table."""
        return self.pages.page(
            request,
            "settings.html",
            session=session,
            tables=[(".".join(table), lines) for table, lines in shown_tables(self.settings)],
            file=BROKER_TOML,
        )


def shown_tables(settings: BrokerSettings) -> list[tuple[tuple[str, ...], list[SettingLine]]]:
    """The settings without what is secret in them: the password of a PACS."""
    return [
        (table, [line if table else _without_secrets(line, settings) for line in lines])
        for table, lines in setting_tables(settings)
    ]


def _without_secrets(line: SettingLine, settings: BrokerSettings) -> SettingLine:
    pacs = settings.central_pacs
    if line.name == "pacs" and isinstance(pacs, WebAddress) and pacs.credentials:
        hidden = _("with a user and a password")
        return evolve(line, value=f"{toml_value(str(pacs))} ({hidden})")
    return line
