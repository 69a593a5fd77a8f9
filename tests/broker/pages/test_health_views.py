from tests.broker.pages.conftest import Browser


async def test_the_worst_stands_first_with_what_to_do(admin: Browser) -> None:
    text = (await admin.get("/health")).text
    assert "Something does not work, or will not for long." in text
    assert text.index("Disk of the store") < text.index("It answers.")
    assert "Make room." in text
