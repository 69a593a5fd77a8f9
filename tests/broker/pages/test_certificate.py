import ssl
from pathlib import Path

import httpx
import pytest
import trio

from broker.config import WebSettings
from broker.pages.app import make_app
from broker.pages.certificate import WebCertificate, host_names
from p2pacs.errors import UsageError
from p2pacs.identity.authority import Authority
from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import PASSWORD, Browser, settings


async def test_the_pages_by_https_under_the_networks_authority(
    ground: Ground, tmp_path: Path
) -> None:
    from broker.accounts.admins import set_password  # noqa: PLC0415
    from broker.members.admin_actions import AdminActions  # noqa: PLC0415

    await ground.database.run(lambda c: set_password(c, "admin", PASSWORD))
    web = settings(tls="on").web
    certificate = WebCertificate.make(tmp_path / "web", ground.authority, host_names(web))
    office = AdminActions(ground.authority, ground.identity.address, settings(tls="on"))
    app = make_app(ground.database, office, web)
    trusting = ssl.create_default_context(cadata=ground.authority.certificate)
    stop = trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
                await serve_web(
                    app,
                    Endpoint("127.0.0.1", 0),
                    stop=stop,
                    tls=certificate.context,
                    task_status=task_status,
                )

            endpoint: Endpoint = await nursery.start(serve)
            for _ in range(2):
                async with httpx.AsyncClient(
                    base_url=f"https://{endpoint}", verify=trusting, trust_env=False
                ) as http:
                    browser = Browser(http, ground)
                    assert (await browser.sign_in()).status_code == 303
                    assert (await browser.get("/members")).status_code == 200
                certificate.renew()
            async with httpx.AsyncClient(trust_env=False) as http:
                with pytest.raises(httpx.ConnectError):
                    await http.get(f"https://{endpoint}/login")
            stop.set()
    for path in (tmp_path / "web").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_what_the_certificate_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "machine")
    web = WebSettings.model_validate({"listen": "0.0.0.0:1", "hosts": ["broker.example"]})
    assert host_names(web) == ("broker.example", "machine")
    web = WebSettings.model_validate({"listen": "10.0.0.1:1", "hosts": ["10.0.0.1"]})
    assert host_names(web) == ("10.0.0.1",)


def test_a_members_address_is_no_web_host(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fd00::"):
        WebCertificate.make(tmp_path / "web", authority, ["fd00::1"])
