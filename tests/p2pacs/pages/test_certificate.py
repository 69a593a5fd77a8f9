import ssl
from pathlib import Path

import httpx
import pytest
import trio
from cryptography import x509
from structlog.testing import capture_logs
from trio.testing import MockClock

from p2pacs.errors import UsageError
from p2pacs.identity.authority import Authority
from p2pacs.pages.certificate import EVERY, WebCertificate, host_names, make_certificate
from p2pacs.units import Endpoint
from p2pacs.web.addresses import machine_addresses
from p2pacs.web.serving import serve_web
from tests.p2pacs.pages.browser import Browser
from tests.p2pacs.pages.conftest import Site
from tests.small_disk import small_disk

PEM = "web-cert.pem"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", "a network")


def _made(folder: Path, authority: Authority) -> WebCertificate:
    return WebCertificate.make(folder, authority, lambda: ["127.0.0.1"])


def _serial(folder: Path) -> int:
    return x509.load_pem_x509_certificate((folder / PEM).read_bytes()).serial_number


async def test_pages_by_https_under_the_authority(
    site: Site, authority: Authority, tmp_path: Path
) -> None:
    certificate = _made(tmp_path / "web", authority)
    trusting = ssl.create_default_context(cadata=authority.certificate)
    stop = trio.Event()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
                await serve_web(
                    site.app(),
                    Endpoint("127.0.0.1", 0),
                    stop=stop,
                    tls=certificate.context,
                    task_status=task_status,
                )

            endpoint: Endpoint = await nursery.start(serve)
            for _ in range(2):
                async with httpx.AsyncClient(
                    base_url=f"https://{endpoint}", verify=trusting, trust_env=False, timeout=60
                ) as http:
                    browser = Browser(http)
                    assert (await browser.sign_in()).status_code == 303
                    assert (await browser.get("/")).status_code == 200
                certificate.renew()
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                with pytest.raises(httpx.ConnectError):
                    await http.get(f"https://{endpoint}/login")
            stop.set()
    for path in (tmp_path / "web").iterdir():
        assert path.stat().st_mode & 0o077 == 0


async def test_pages_on_all_addresses_open_at_each_of_them(
    site: Site, authority: Authority, tmp_path: Path
) -> None:
    everywhere = Endpoint("0.0.0.0", 0)  # noqa: S104
    certificate = WebCertificate.make(
        tmp_path / "web", authority, lambda: host_names(everywhere, ())
    )
    trusting = ssl.create_default_context(cadata=authority.certificate)
    stop = trio.Event()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
                tls = certificate.context
                await serve_web(site.app(), everywhere, stop=stop, tls=tls, task_status=task_status)

            endpoint: Endpoint = await nursery.start(serve)
            hosts = [one for one in (*machine_addresses(), "localhost") if ":" not in one]
            async with httpx.AsyncClient(verify=trusting, trust_env=False, timeout=60) as http:
                for host in hosts:
                    answer = await http.get(f"https://{host}:{endpoint.port}/login")
                    assert answer.status_code == 200
            stop.set()


def test_what_the_certificate_names() -> None:
    here = ("127.0.0.1", "192.168.1.4", "2001:db8::4", "fd12::4")
    for everywhere in ("0.0.0.0:1", "[::]:1"):
        listen = Endpoint.parse(everywhere)
        named = host_names(listen, ["broker.example"], lambda: here, lambda: "machine")
        assert named == ("broker.example", "machine", "localhost", *here[:3])
    assert host_names(Endpoint("10.0.0.1", 1), ["10.0.0.1"]) == ("10.0.0.1",)


def test_the_certificate_of_a_machine_follows_its_addresses(
    authority: Authority, tmp_path: Path
) -> None:
    hosts = ["192.168.1.4"]
    certificate = WebCertificate.make(tmp_path / "web", authority, lambda: hosts)

    def named() -> list[str]:
        pem = (tmp_path / "web" / PEM).read_bytes()
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


async def test_it_is_renewed_while_the_pages_are_served(
    authority: Authority, tmp_path: Path, autojump_clock: MockClock
) -> None:
    web = tmp_path / "web"
    certificate = await make_certificate(lambda: _made(web, authority))
    first = _serial(web)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(certificate.keep_renewed)
        await trio.sleep(EVERY / 2)
        assert _serial(web) == first
        await trio.sleep(EVERY)
        assert _serial(web) != first
        nursery.cancel_scope.cancel()


@pytest.mark.disk
async def test_on_a_full_disk_it_waits_for_room(
    authority: Authority, tmp_path: Path, autojump_clock: MockClock
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        web = disk.folder / "web"
        certificate = _made(web, authority)
        before = _serial(web)
        disk.fill()
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(certificate.keep_renewed)
                await trio.sleep(EVERY + 60)
                assert _serial(web) == before
                disk.free()
                await trio.sleep(60)
                assert _serial(web) != before
                nursery.cancel_scope.cancel()
        waited = [one["file"] for one in logs if one["event"].startswith("waiting until")]
        assert waited == ["the certificate of the pages"]


async def test_what_cannot_be_renewed_is_said_and_tried_again(
    authority: Authority, tmp_path: Path, autojump_clock: MockClock
) -> None:
    web = tmp_path / "web"
    certificate = _made(web, authority)
    before = _serial(web)
    aside = web.rename(tmp_path / "aside")
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(certificate.keep_renewed)
            await trio.sleep(1.5 * EVERY)
            assert [one["event"] for one in logs if one["log_level"] == "error"] == [
                "the certificate of the pages is not renewed"
            ]
            aside.rename(web)
            await trio.sleep(EVERY)
            nursery.cancel_scope.cancel()
    assert _serial(web) != before
