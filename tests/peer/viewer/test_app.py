from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.responses import PlainTextResponse

from p2pacs.dicomweb.server.backend import DicomwebBackend
from peer.viewer.app import ViewerOrigin, make_viewer


def _client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", trust_env=False
    )


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/dicom-web", "dicomweb"),
        ("/dicom-web/studies?limit=1", "dicomweb"),
        ("/dicom-webs", "site"),
        ("/viewer/dicom-web/studies", "site"),
        ("/", "site"),
    ],
)
async def test_one_origin_has_the_services_and_the_files(path: str, who: str) -> None:
    origin = ViewerOrigin(PlainTextResponse("dicomweb"), PlainTextResponse("site"))
    async with _client(origin) as http:
        assert (await http.get(path)).text == who


@pytest.mark.parametrize("path", ["/viewer", "/dicom-web/studies"])
async def test_who_is_not_allowed_gets_neither(tmp_path: Path, path: str) -> None:
    backend = cast("DicomwebBackend", object())  # it is not asked
    asked = []
    app = make_viewer(tmp_path, backend, allowed=lambda address: bool(asked.append(address)))
    async with _client(app) as http:
        answer = await http.get(path)
    assert answer.status_code == 403
    assert asked == ["127.0.0.1"]


@pytest.mark.parametrize("path", ["/viewer", "/dicom-web/studies"])
async def test_a_host_that_is_none_of_ours_gets_nothing(tmp_path: Path, path: str) -> None:
    """Else a stranger's page reads it through a name that it points here (DNS rebinding)."""
    backend = cast("DicomwebBackend", object())
    app = make_viewer(tmp_path, backend, allowed=lambda _: True, names=["pacs.example"])
    async with _client(app) as http:
        answer = await http.get(path, headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert "gateway.dicomweb_names" in answer.text
