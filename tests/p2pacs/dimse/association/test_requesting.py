"""Whom we call answers, or we say why not and what to do."""

import ssl

import pytest
import trio
from pynetdicom import AE

from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.requesting import associate, tls_refusal
from p2pacs.errors import PacsUnreachableError
from tests.components import free_port
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import EXPLICIT


async def test_nobody_there_and_rejected() -> None:
    with pytest.raises(PacsUnreachableError, match="cannot be reached"):
        await client(free_port()).echo()
    async with serving(Scripted(), allowed_callers=["KNOWN"]) as server:
        with pytest.raises(PacsUnreachableError, match="does not know our AE title"):
            await client(server.port).echo()
        await client(server.port, aet="KNOWN").echo()


async def test_who_hangs_up_is_not_called_away() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, hang_up, [listener])
        with pytest.raises(PacsUnreachableError, match="does not answer: check its port"):
            await client(listener.socket.getsockname()[1]).echo()
        nursery.cancel_scope.cancel()


async def test_a_host_without_an_address() -> None:
    remote = DimseRemote("PACS", "no-such-host.invalid", 104)
    with pytest.raises(PacsUnreachableError, match="has no address"):
        await trio.to_thread.run_sync(
            lambda: associate(AE("SCU"), remote, [(contexts.VERIFICATION, [EXPLICIT])])
        )


def _of_certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("refused")
    error.verify_code, error.verify_message = code, "self-signed certificate"
    return error


def _of_protocol(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError("refused")
    error.reason = reason  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (_of_certificate(62), "another name"),  # of a host
        (_of_certificate(64), "another name"),  # of an address
        (_of_certificate(18), "self-signed certificate): check the authorities"),
        (_of_protocol("WRONG_VERSION_NUMBER"), "check its port"),
        (_of_protocol("HTTP_REQUEST"), "check its port"),
        (_of_protocol("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "certificate required"),
        (_of_protocol(None), "broken off"),
    ],
)
def test_what_tls_refuses_says_what_to_do(error: ssl.SSLError, advice: str) -> None:
    assert advice in tls_refusal(error)
