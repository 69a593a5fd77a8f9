"""Requests for frames, of a backend that has some."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.bulk_data import bulk_path
from p2pacs.dicomweb.multipart import MultipartParser, boundary_of
from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.backend import FrameSource, Resource, SearchPage
from p2pacs.dicomweb.server.frames import offered, parse_frames
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.errors import NotAcceptableError, NotFoundError, UnavailableError, UsageError
from p2pacs.limits import FRAME_LIST, RANGED_BYTES
from p2pacs.rendering.options import RenderOptions

EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
HTJ2K = "1.2.840.10008.1.2.4.202"
MPEG4 = "1.2.840.10008.1.2.4.102"
OCTETS = "application/octet-stream"

PATH = "/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/"
IMAGES = [bytes([number]) * (50 + number) for number in range(5)]


@define
class Image:
    """A backend with one instance."""

    transfer_syntax: str = JPEG_LS
    digest: bytes = bytes(32)
    broken_at: int = 99
    in_use: int = 0
    drawn: list[tuple[int, RenderOptions]] = field(factory=list)
    images: Sequence[bytes] = field(default=IMAGES, repr=False)

    count = len(IMAGES)

    async def read(self, frame: int) -> bytes:
        assert self.in_use
        if frame == self.broken_at:
            raise UnavailableError("it did not come")
        return self.images[frame - 1]

    async def decoded(self, frame: int) -> bytes:
        return (await self.read(frame))[::2]

    async def progressive(self, frame: int) -> bytes:
        return (await self.read(frame))[::3]

    async def draw(self, frame: int, options: RenderOptions) -> bytes:
        self.drawn.append((frame, options))
        return await self.read(frame)

    async def search(self, query: SearchQuery, caller: str) -> SearchPage:
        raise NotImplementedError

    async def bulk_data(self, resource: Resource, path: Sequence[int], caller: str) -> bytes:
        if path == (0x00420012,):
            raise NotFoundError("no such bulk data")
        return bulk_path(path).encode()

    @asynccontextmanager
    async def frames(self, resource: Resource, caller: str) -> AsyncIterator[FrameSource]:
        assert caller == "DICOMweb 127.0.0.1"
        if resource != Resource("1.2", "1.3", "1.4"):
            raise NotFoundError("no such instance")
        self.in_use += 1
        try:
            yield self
        finally:
            self.in_use -= 1


async def asked(image: Image, frames: str, accept: str = "*/*", **headers: str) -> httpx.Response:
    """What a request for frames of it is answered with."""
    return await asked_at(image, PATH + frames, accept, **headers)


async def asked_at(image: Image, path: str, accept: str = "*/*", **headers: str) -> httpx.Response:
    """What a request is answered with, for a path with its query."""
    app = make_dicomweb(image, allowed=lambda _: True)
    transport = httpx.ASGITransport(app)
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get(path, headers={"Accept": accept, **said})
    assert not image.in_use
    return answer


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    parser = MultipartParser(boundary_of(answer.headers["content-type"]))
    found = parser.feed(answer.content)
    parser.finish()
    return [(part.headers["content-type"], part.body()) for part in found]


async def test_frames_come_as_they_are_stored() -> None:
    answer = await asked(Image(), "1,5,2", f'multipart/related; type="{OCTETS}"; transfer-syntax=*')
    assert answer.status_code == 200
    assert f'type="{OCTETS}"' in answer.headers["content-type"]
    said = f"{OCTETS}; transfer-syntax={JPEG_LS}"
    assert parts(answer) == [(said, IMAGES[0]), (said, IMAGES[4]), (said, IMAGES[1])]
    assert f"http://127.0.0.1{PATH}5".encode() in answer.content


@pytest.mark.parametrize(
    ("syntax", "accept", "multipart", "media_type"),
    [
        (JPEG_LS, "*/*", True, OCTETS),
        (JPEG_LS, "multipart/related; type=image/jls", True, "image/jls"),
        (JPEG_LS, "image/jls", False, "image/jls"),
        (HTJ2K, "image/jphc; transfer-syntax=*", False, "image/jphc"),
        (EXPLICIT, OCTETS, False, OCTETS),
        ("1.2.840.10008.1.2", f"multipart/related; type={OCTETS}", True, OCTETS),
    ],
)
async def test_the_way_that_is_accepted(
    syntax: str, accept: str, multipart: bool, media_type: str
) -> None:
    answer = await asked(Image(syntax), "3", accept)
    assert answer.status_code == 200
    native = "1.2.840.10008.1.2" in (syntax, syntax[:-2])
    said = f"{media_type}; transfer-syntax={EXPLICIT if native else syntax}"
    if multipart:
        assert parts(answer) == [(said, IMAGES[2])]
    else:
        assert answer.headers["content-type"] == said
        assert answer.content == IMAGES[2]
        assert answer.headers["content-location"] == f"http://127.0.0.1{PATH}3"


@pytest.mark.parametrize(
    ("frames", "accept", "syntax", "status"),
    [
        ("1", "image/jp2", JPEG_LS, 406),
        ("1", "text/html", EXPLICIT, 406),
        ("1,2", "image/jls", JPEG_LS, 406),  # several are never one part
        ("1", "*/*", MPEG4, 406),
        ("6", "*/*", JPEG_LS, 404),
        ("0", "*/*", JPEG_LS, 400),
        ("1,,2", "*/*", JPEG_LS, 400),
        ("-1", "*/*", JPEG_LS, 400),
        ("9" * 5000, "*/*", JPEG_LS, 400),
        (",".join(["1"] * (FRAME_LIST + 1)), "*/*", JPEG_LS, 400),
        ("1", "a" * 2**20, JPEG_LS, 400),
    ],
)
async def test_what_cannot_be_is_said(frames: str, accept: str, syntax: str, status: int) -> None:
    answer = await asked(Image(syntax), frames, accept)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message", "transient"}


async def test_what_fails_at_once_has_a_status() -> None:
    for frames in ("2", "2,3"):
        answer = await asked(Image(broken_at=2), frames)
        assert answer.status_code == 503


async def test_what_fails_in_the_middle_is_no_whole_answer(
    capfd: pytest.CaptureFixture[str],
) -> None:
    image = Image(broken_at=2)
    with pytest.raises(RuntimeError) as raised:  # the server closes the connection
        await asked(image, "1,2")
    assert isinstance(raised.value.__cause__, UnavailableError)
    assert "failed" not in capfd.readouterr().out  # nothing is wrong here
    assert not image.in_use


@pytest.mark.parametrize("accept", [OCTETS, f"multipart/related; type={OCTETS}"])
async def test_who_names_no_transfer_syntax_gets_native_frames(accept: str) -> None:
    for frames in ("2",) if accept == OCTETS else ("2", "2,3"):
        answer = await asked(Image(), frames, accept)
        assert answer.status_code == 200
        said = f"{OCTETS}; transfer-syntax={EXPLICIT}"
        if accept == OCTETS:
            assert answer.headers["content-type"] == said
            assert answer.content == IMAGES[1][::2]
        else:
            expected = [(said, IMAGES[int(number) - 1][::2]) for number in frames.split(",")]
            assert parts(answer) == expected


async def test_ranges_count_over_the_body() -> None:
    whole = await asked(Image(), "4")
    total = len(whole.content)
    assert whole.headers["content-length"] == str(total)
    pieces = b""
    for first in range(0, total, 100):
        said = f"bytes={first}-{first + 99}"
        answer = await asked(Image(), "4", Range=said, If_Range=whole.headers["etag"])
        assert answer.status_code == 206
        assert answer.headers["content-range"].endswith(f"/{total}")
        pieces += answer.content
    assert pieces == whole.content
    thousand = "bytes=" + ",".join(["0-"] * 1000)
    assert (await asked(Image(), "4", Range=thousand)).status_code == 416
    several = await asked(Image(), "4", "image/jls", Range="bytes=0-1,5-6")
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")


async def test_what_one_has_is_not_sent_again() -> None:
    for frames in ("1", "1,2"):
        etag = (await asked(Image(), frames)).headers["etag"]
        again = await asked(Image(), frames, If_None_Match=etag)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        other = Image(digest=hashlib.sha256().digest())
        assert (await asked(other, frames, If_None_Match=etag)).status_code == 200
        assert (await asked(Image(), "3", If_None_Match=etag)).status_code == 200
    both: list[Any] = [await asked(Image(), "1", accept) for accept in ("*/*", "image/jls")]
    assert both[0].headers["etag"] != both[1].headers["etag"]


async def test_another_instance_is_not_this_one() -> None:
    app = make_dicomweb(Image(), allowed=lambda _: True)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        path = PATH.replace("1.4", "1.5") + "1"
        assert (await client.get(path)).status_code == 404
        assert (await client.get(PATH.replace("1.4", "%20") + "1")).status_code == 400


@given(st.text(max_size=20))
def test_a_list_of_frames_is_numbers(text: str) -> None:
    try:
        numbers = parse_frames(text)
    except UsageError:
        return
    assert ",".join(map(str, numbers)) == text
    assert all(number > 0 for number in numbers)


def test_a_video_has_no_frames() -> None:
    with pytest.raises(NotAcceptableError, match="video"):
        offered(MPEG4, 1)


# ---------------------------------------------------------------- coded for the client


@pytest.mark.parametrize(
    ("syntax", "accept", "given"),
    [
        (EXPLICIT, f"image/jphc; transfer-syntax={HTJ2K}", HTJ2K),
        (EXPLICIT, "image/jphc", HTJ2K),
        (EXPLICIT, f"{OCTETS}; transfer-syntax={HTJ2K}", HTJ2K),
        (EXPLICIT, f"{OCTETS}; transfer-syntax=*", EXPLICIT),
        (EXPLICIT, f"image/jphc; transfer-syntax=*, {OCTETS}; transfer-syntax=*; q=0.5", HTJ2K),
        (EXPLICIT, "*/*", EXPLICIT),
        (JPEG_LS, f"image/jphc, {OCTETS}; transfer-syntax=*; q=0.1", HTJ2K),
        (JPEG_LS, f"{OCTETS}; transfer-syntax=*", JPEG_LS),
    ],
)
async def test_htj2k_for_who_asks_for_it(syntax: str, accept: str, given: str) -> None:
    answer = await asked(Image(syntax), "3", accept)
    assert answer.headers["content-type"].endswith(f"transfer-syntax={given}") or given in str(
        parts(answer)
    )
    if given == HTJ2K:
        assert answer.content == IMAGES[2][::3]
        assert int(answer.headers["content-length"]) == len(answer.content)


async def test_htj2k_that_is_stored_comes_as_it_is() -> None:
    answer = await asked(Image(HTJ2K), "3", f"image/jphc; transfer-syntax={HTJ2K}")
    assert answer.content == IMAGES[2]


# ---------------------------------------------------------------- ranges of several


async def test_ranges_of_several_frames() -> None:
    image = Image()
    whole = await asked(image, "2,3,5")
    for first, last in ((0, 9), (100, 250), (200, 10_000)):
        some = await asked(image, "2,3,5", Range=f"bytes={first}-{last}")
        assert some.status_code == 206
        assert some.content == whole.content[first : last + 1]
        assert some.headers["content-range"].endswith(f"/{len(whole.content)}")
        assert some.headers["etag"] == whole.headers["etag"]
    beyond = await asked(image, "2,3,5", Range="bytes=10000-")
    assert beyond.status_code == 416


async def test_a_range_of_too_much_is_passed_over() -> None:
    images = [*IMAGES[:4], bytes(RANGED_BYTES)]
    answer = await asked(Image(images=images), "2,3,5", Range="bytes=0-9")
    assert answer.status_code == 200
    assert [body for _, body in parts(answer)] == [images[1], images[2], images[4]]
