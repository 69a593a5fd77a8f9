import base64
import json

import pytest

from broker.pacs.address import WebAddress
from broker.pacs.dicomweb import WebAdapter, clean, open_client
from p2pacs.dataset.json_model import tag
from tests.components import HOST
from tests.conformance.test_pacs_bad import http

NAME, UID = tag("PatientName"), tag("StudyInstanceUID")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({NAME: {"vr": "PN", "Value": [{"Alphabetic": "A"}]}}, True),
        ({NAME: {"vr": "PN", "Value": ["A"]}}, False),
        ({NAME: {"vr": "PN", "Value": [{"Alphabetic": 1}]}}, False),
        ({NAME: {"vr": "PN", "Value": [{"Alphabetic": "\ud800"}]}}, False),
    ],
)
def test_names_have_their_shape(answer: dict[str, object], expected: bool) -> None:
    assert ("Value" in clean(answer, [NAME])[NAME]) is expected


@pytest.mark.parametrize("value", ["\ud800", float("inf"), float("nan"), None, [], {}])
def test_values_that_no_database_takes_are_left_out(value: object) -> None:
    assert clean({UID: {"vr": "UI", "Value": [value, "1"]}}, [UID]) == {
        UID: {"vr": "UI", "Value": ["1"]}
    }


def test_only_what_was_asked_for_is_taken() -> None:
    answer = {NAME: {"vr": "PN"}, UID: {"vr": "UI", "Value": ["1"]}, "x": 1}
    assert clean(answer, [UID]) == {UID: {"vr": "UI", "Value": ["1"]}}
    assert clean({UID: "1"}, [UID]) == {}
    assert clean({UID: {"vr": "U"}}, [UID]) == {}


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
