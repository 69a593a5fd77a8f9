from broker.config import BrokerSettings
from broker.pages.settings_views import shown_tables
from tests.broker.pages.conftest import Browser, settings


async def test_every_setting_is_shown_with_what_it_is(admin: Browser) -> None:
    page = (await admin.get("/settings")).text
    assert "<code>&#34;dimse://PACS@127.0.0.1:104&#34;</code>" in page
    assert "[enrolment]" in page
    assert "Days until an unused token is good no longer." in page
    assert "<code>7</code><small>default</small>" in page
    assert "broker.toml" in page
    assert "<form" not in page.replace('<form class="who"', ""), "nothing is changed here"
    for name in BrokerSettings.model_fields:
        assert f"<code>{name}</code>" in page or f"[{name}]" in page


def test_passwords_are_not_shown() -> None:
    secret = settings().model_copy(
        update={"pacs": "dicomweb+http://reader:s%65cret@10.0.0.1:8042/dicom-web"}
    )
    said = {line.name: line.value for line in dict(shown_tables(secret))[()]}
    assert said["pacs"] == (
        '"dicomweb+http://10.0.0.1:8042/dicom-web" (with a user and a password)'
    )
    assert "reader" not in repr(shown_tables(secret))
