"""Pictures over HTTP, and which of them may stay in a browser."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from peer.pages.search.presence import Presence
from peer.pages.study.image_views import LARGE_SIDE, SMALL_SIDE
from tests.peer.pages.served import served
from tests.peer.pages.study.presence import until


async def test_pictures_are_no_larger_than_a_page_shows(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        await browser.send(pages.study, f"{pages.study}/fetch")
        await until(pages, Presence.HERE)
        for what, most in (("preview", SMALL_SIDE), ("picture", LARGE_SIDE)):
            answer = await browser.get(f"{pages.study}/instances/1/{what}")
            with Image.open(BytesIO(answer.content)) as picture:
                assert max(picture.size) <= most
            assert "private" in answer.headers["cache-control"]


async def test_a_window_changes_the_picture_and_no_window_is_that_of_the_image(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        await browser.send(pages.study, f"{pages.study}/fetch")
        await until(pages, Presence.HERE)
        one = f"{pages.study}/instances/1/picture"
        wide, narrow = [(await browser.get(f"{one}?window={w}")).content for w in ("0,9000", "0,2")]
        assert wide != narrow
        assert (await browser.get(one)).content == (await browser.get(f"{one}?frame=1")).content


async def test_images_that_do_not_exist_are_not_found(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        await browser.send(pages.study, f"{pages.study}/fetch")
        await until(pages, Presence.HERE)
        for path, status in (
            ("instances/99/preview", 404),
            ("instances/1/picture?frame=7", 404),
            ("instances/1/picture?frame=x", 400),
            ("instances/1/picture?window=1", 400),
            ("images?series=99", 200),
        ):
            assert (await browser.get(f"{pages.study}/{path}")).status_code == status, path
