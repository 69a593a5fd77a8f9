import base64
import json

from broker.pacs.adapters.dicomweb import WebAdapter, open_client
from broker.pacs.address import WebAddress
from p2pacs.dataset.vocabulary import tag
from tests.components import HOST
from tests.conformance.test_pacs_bad import http

UID = tag("StudyInstanceUID")


async def test_user_and_password_are_sent_and_never_named() -> None:
    body = json.dumps([{UID: {"vr": "UI", "Value": ["1.2"]}}]).encode()
    seen: list[str | None] = []
    with http(body=body, seen=seen) as port:
        address = WebAddress(f"http://{HOST}:{port}/rs", ("me", "p@ss word"))
        async with open_client(address, 10) as client:
            pacs = WebAdapter(address, client)
            await pacs.check()
    assert seen[0] == "Basic " + base64.b64encode(b"me:p@ss word").decode()
    assert "p@ss" not in pacs.address
