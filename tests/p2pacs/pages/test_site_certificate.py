import ssl
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from p2pacs.errors import StateError
from p2pacs.identity import certificates
from p2pacs.identity.authority import Authority
from p2pacs.pages.certificate import WebCertificate
from p2pacs.pages.site_certificate import EVERY, SiteCertificate, open_pages_certificate
from p2pacs.settings import WebSettings
from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from tests.p2pacs.pages.conftest import Site


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", "A hospital's own")


def issue(authority: Authority, folder: Path) -> tuple[bytes, bytes]:
    """A new certificate and its key, as an ACME client replaces them; what it was before."""
    folder.mkdir(exist_ok=True)
    key = certificates.generate_key()
    csr = certificates.request(certificates.load_key(key, "a key"))
    issued = authority.issue_web(csr, ["127.0.0.1"], lifetime=timedelta(days=90))
    pair = certificates.to_pem(issued), key.reveal()
    for name, data in zip(("full.pem", "key.pem"), pair, strict=True):
        fresh = folder / f"{name}.new"
        fresh.write_bytes(data)
        fresh.replace(folder / name)
    return pair


def opened(folder: Path) -> SiteCertificate:
    return SiteCertificate(folder / "full.pem", folder / "key.pem")


async def shown(endpoint: Endpoint, trusting: ssl.SSLContext) -> bytes:
    """The certificate that a browser sees."""
    stream = trio.SSLStream(
        await trio.open_tcp_stream(endpoint.host, endpoint.port),
        trusting,
        server_hostname=endpoint.host,
        https_compatible=True,
    )
    async with stream:
        await stream.do_handshake()
        der: bytes = stream.getpeercert(binary_form=True)
        return der


async def test_browsers_see_the_files_and_then_those_in_their_place(
    site: Site, authority: Authority, tmp_path: Path
) -> None:
    first, _ = issue(authority, tmp_path / "own")
    certificate = opened(tmp_path / "own")
    trusting = ssl.create_default_context(cadata=authority.certificate)
    stop = trio.Event()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
                here = Endpoint("127.0.0.1", 0)
                tls = certificate.context
                await serve_web(site.app(), here, stop=stop, tls=tls, task_status=task_status)

            endpoint: Endpoint = await nursery.start(serve)
            assert await shown(endpoint, trusting) == certificates.from_pem(first, "it")
            assert not certificate.look()
            second, _ = issue(authority, tmp_path / "own")
            assert certificate.look()
            assert await shown(endpoint, trusting) == certificates.from_pem(second, "it")
            async with httpx.AsyncClient(verify=trusting, trust_env=False, timeout=60) as http:
                assert (await http.get(f"https://{endpoint}/login")).status_code == 200
            stop.set()


async def test_half_a_new_pair_leaves_the_one_before(
    authority: Authority, tmp_path: Path, autojump_clock: MockClock
) -> None:
    own = tmp_path / "own"
    issue(authority, own)
    certificate = opened(own)
    _, before = issue(authority, tmp_path / "another")
    (own / "key.pem").write_bytes(before)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(certificate.keep_renewed)
        with capture_logs() as said:
            await trio.sleep(EVERY * 5.5)
        assert [one["log_level"] for one in said] == ["error"]
        (own / "key.pem").unlink()
        with capture_logs() as said:
            await trio.sleep(EVERY * 3)
        assert "cannot read" in said[0]["error"]
        issue(authority, own)
        with capture_logs() as said:
            await trio.sleep(EVERY * 2)
        assert [one["log_level"] for one in said] == ["info"]
        nursery.cancel_scope.cancel()


def test_what_is_no_pair_is_named(authority: Authority, tmp_path: Path) -> None:
    issue(authority, tmp_path / "own")
    with pytest.raises(StateError, match=r"cannot read .*key\.pem"):
        SiteCertificate(tmp_path / "own" / "full.pem", tmp_path / "key.pem")
    with pytest.raises(StateError, match="do not hold a certificate and its key"):
        SiteCertificate(tmp_path / "own" / "full.pem", None)


async def test_the_settings_choose(authority: Authority, tmp_path: Path) -> None:
    def make() -> WebCertificate:
        return WebCertificate.make(tmp_path / "web", authority, lambda: ["127.0.0.1"])

    both = b"".join(issue(authority, tmp_path / "own"))
    (tmp_path / "both.pem").write_bytes(both)
    for said in (
        {"certificate": "own/full.pem", "key": "own/key.pem"},
        {"certificate": "both.pem"},
        {"certificate": str(tmp_path / "both.pem")},
    ):
        settings = WebSettings.model_validate({"listen": "127.0.0.1:1", **said})
        opened = await open_pages_certificate(tmp_path, settings, make)
        assert isinstance(opened, SiteCertificate)
    assert not (tmp_path / "web").exists()
    settings = WebSettings.model_validate({"listen": "127.0.0.1:1"})
    made = await open_pages_certificate(tmp_path, settings, make)
    assert isinstance(made, WebCertificate)


def test_a_key_needs_its_certificate() -> None:
    with pytest.raises(ValueError, match="key needs the certificate"):
        WebSettings.model_validate({"key": "key.pem"})
