"""The pages on their port; what they show is in the tests of the views."""

import ssl
from functools import partial
from pathlib import Path

import httpx
import trio

from broker.admins.actions import AdminActions
from broker.pages.serving import open_certificate, run_pages
from p2pacs.units import Endpoint
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import content_of, settings

LOCAL = "127.0.0.1:0"


async def test_by_http_there_is_no_certificate(ground: Ground, tmp_path: Path) -> None:
    web = settings(listen=LOCAL, tls="off").web
    assert await open_certificate(tmp_path, ground.authority, web) is None
    assert not (tmp_path / "web").exists()


async def test_they_are_served_until_told_to_stop(ground: Ground, tmp_path: Path) -> None:
    whole = settings(listen=LOCAL, tls="on", hosts=["127.0.0.1"])
    certificate = await open_certificate(tmp_path, ground.authority, whole.web)
    assert certificate is not None
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    trusting = ssl.create_default_context(cadata=ground.authority.certificate)
    stop = trio.Event()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            content = content_of(ground)
            run = partial(
                run_pages, ground.database, actions, whole.web, certificate, content, stop=stop
            )
            where: Endpoint = await nursery.start(run)
            async with httpx.AsyncClient(verify=trusting, trust_env=False, timeout=60) as http:
                assert (await http.get(f"https://{where}/login")).status_code == 200
            stop.set()
