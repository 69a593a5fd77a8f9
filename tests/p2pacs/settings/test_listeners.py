import pytest

from p2pacs.process.listening import ListenError
from p2pacs.settings import EndpointField, Settings
from p2pacs.settings.listeners import naming_settings
from p2pacs.units import Endpoint


class Pages(Settings):
    listen: EndpointField | None = None


class Program(Settings):
    listen: tuple[EndpointField, ...] = ()
    api: EndpointField | None = None
    web: Pages = Pages()


SETTINGS = Program(
    listen=(Endpoint("a", 1), Endpoint("b", 2)),
    api=Endpoint("c", 3),
    web=Pages(listen=Endpoint("d", 4)),
)


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (Endpoint("b", 2), "listen"),
        (Endpoint("c", 3), "api"),
        (Endpoint("d", 4), "web.listen"),
    ],
)
def test_the_setting_of_an_endpoint_is_named(endpoint: Endpoint, name: str) -> None:
    said = rf"{endpoint} \(setting {name}\): taken"
    with pytest.raises(ListenError, match=said), naming_settings(SETTINGS):
        raise ListenError(endpoint, OSError("taken"))


def test_one_that_stands_in_no_setting() -> None:
    with (
        pytest.raises(ListenError, match=r"cannot listen on x:9: taken$"),
        naming_settings(SETTINGS),
    ):
        raise ListenError(Endpoint("x", 9), OSError("taken"))
