import json
from typing import Any

import pytest

from p2pacs.dicomweb.accept import Accept
from p2pacs.dicomweb.media_types import MEDIA_TYPES, is_video
from p2pacs.dicomweb.server.frames import offered
from peer.viewer.configuration import ACCEPT, DECODED, app_config

EXPLICIT = "1.2.840.10008.1.2.1"


def _told(*, multiplexed: bool) -> dict[str, Any]:
    text = app_config(multiplexed=multiplexed)
    config, end = json.JSONDecoder().raw_decode(text.removeprefix("window.config = "))
    assert text.removeprefix("window.config = ")[end:].startswith(";\n(() => {")
    return dict(config)


def test_it_says_where_everything_is() -> None:
    text = app_config(multiplexed=False)
    config = _told(multiplexed=False)
    (source,) = config["dataSources"]
    assert source["sourceName"] == config["defaultDataSourceName"]
    assert source["configuration"]["wadoRoot"] == "/dicom-web"
    assert "http" not in text


def test_over_six_connections_two_are_never_held_by_what_is_on_its_way() -> None:
    assert sum(_told(multiplexed=False)["maxNumRequests"].values()) <= 4
    assert app_config(multiplexed=True) != app_config(multiplexed=False)


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2", *MEDIA_TYPES])
def test_every_frame_comes_in_a_syntax_that_it_decodes(syntax: str) -> None:
    if is_video(syntax):
        return
    given = Accept.parse([",".join(ACCEPT)]).choose(offered(syntax, 1))
    if syntax in DECODED[: DECODED.index(EXPLICIT)]:
        assert given.transfer_syntax == syntax
    elif syntax.startswith("1.2.840.10008.1.2.4.11"):
        assert given.transfer_syntax == EXPLICIT, "JPEG XL, which it does not know"
    if given.transfer_syntax in DECODED:
        assert given.multipart
        assert given.media_type == "application/octet-stream"
