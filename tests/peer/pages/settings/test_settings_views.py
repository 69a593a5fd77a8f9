from pathlib import Path

from peer.accounts.rights import UserRole
from peer.config import load_peer_settings
from tests.peer.pages.served import served


async def test_settings_are_changed_for_the_next_start(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser(UserRole.ADMINISTRATOR) as browser:
        typed = {"destinations": "VIEWER 10.0.0.9:104", "uplink": "2mbit", "downlink": ""}
        answer = await browser.send("/settings", "/settings", **typed, capacity="7GB")
        assert answer.headers["location"] == "/settings?saved=1"
        page = (await browser.get("/settings?saved=1")).text
        assert "next start" in page
        assert "VIEWER 10.0.0.9:104" in page
        saved = load_peer_settings(tmp_path / "a")
        assert (saved.line.uplink, saved.store.capacity) == (2_000_000, 7_000_000_000)
        wrong = await browser.send("/settings", "/settings", **typed, capacity="<b>much</b>")
        assert wrong.status_code == 400
        assert "<b>much" not in wrong.text
        assert load_peer_settings(tmp_path / "a") == saved
