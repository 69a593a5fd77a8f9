import ssl
from pathlib import Path

import httpx
import pytest
import trio
from cryptography import x509

from broker.config import WebSettings
from broker.members.admin_actions import AdminActions
from broker.pages.app import make_app
from broker.pages.certificate import WebCertificate, host_names
from p2pacs.accounts.passwords import set_password
from p2pacs.errors import UsageError
from p2pacs.identity.authority import Authority
from p2pacs.units import Endpoint
from p2pacs.web.addresses import machine_addresses
from p2pacs.web.serving import serve_web
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import PASSWORD, Browser, settings
from tests.p2pacs.accounts.conftest import CHEAP


async def test_the_pages_by_https_under_the_networks_authority(
    ground: Ground, tmp_path: Path
) -> None:

    await ground.database.run(lambda c: set_password(c, "admin", PASSWORD, CHEAP))
    web = settings(tls="on").web
    certificate = WebCertificate.make(tmp_path / "web", ground.authority, lambda: host_names(web))
    actions = AdminActions(ground.authority, ground.identity.address, settings(tls="on"))
    app = make_app(ground.database, actions, web, CHEAP)
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


async def test_pages_on_all_addresses_open_at_each_of_them(ground: Ground, tmp_path: Path) -> None:
    whole = settings(listen="0.0.0.0:1")
    certificate = WebCertificate.make(
        tmp_path / "web", ground.authority, lambda: host_names(whole.web)
    )
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    app = make_app(ground.database, actions, whole.web, CHEAP)
    trusting = ssl.create_default_context(cadata=ground.authority.certificate)
    stop = trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
                everywhere = Endpoint(whole.web.listen.host, 0)
                tls = certificate.context
                await serve_web(app, everywhere, stop=stop, tls=tls, task_status=task_status)

            endpoint: Endpoint = await nursery.start(serve)
            hosts = [one for one in (*machine_addresses(), "localhost") if ":" not in one]
            async with httpx.AsyncClient(verify=trusting, trust_env=False) as http:
                for host in hosts:
                    answer = await http.get(f"https://{host}:{endpoint.port}/login")
                    assert answer.status_code == 200
            stop.set()


def test_what_the_certificate_names() -> None:
    here = ("127.0.0.1", "192.168.1.4", "2001:db8::4", "fd12::4")
    for everywhere in ("0.0.0.0:1", "[::]:1"):
        web = WebSettings.model_validate({"listen": everywhere, "hosts": ["broker.example"]})
        named = host_names(web, lambda: here, lambda: "machine")
        assert named == ("broker.example", "machine", "localhost", *here[:3])
    web = WebSettings.model_validate({"listen": "10.0.0.1:1", "hosts": ["10.0.0.1"]})
    assert host_names(web) == ("10.0.0.1",)


def test_the_certificate_of_a_machine_follows_its_addresses(
    authority: Authority, tmp_path: Path
) -> None:
    hosts = ["192.168.1.4"]
    certificate = WebCertificate.make(tmp_path / "web", authority, lambda: hosts)

    def named() -> list[str]:
        pem = (tmp_path / "web" / "web-cert.pem").read_bytes()
        names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return [str(one) for one in names.value.get_values_for_type(x509.IPAddress)]

    assert named() == ["192.168.1.4"]
    hosts.append("192.168.7.4")
    certificate.renew()
    assert named() == ["192.168.1.4", "192.168.7.4"]


def test_a_members_address_is_no_web_host(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fd00::"):
        WebCertificate.make(tmp_path / "web", authority, lambda: ["fd00::1"])
