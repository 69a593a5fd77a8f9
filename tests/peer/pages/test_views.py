from tests.p2pacs.pages.browser import Browser


async def test_where_people_land(browser: Browser) -> None:
    await browser.sign_in("radiologist")
    page = await browser.get("/")
    assert "<h1>North General</h1>" in page.text
