import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from peer.config import PeerSettings
from peer.pages.settings.settings_form import changed_settings, setting_fields

SETTINGS = PeerSettings.model_validate(
    {
        "name": "a",
        "listen": ["127.0.0.1:4711"],
        "line": {"uplink": "800kbit", "lan": ["10.0.0.0/8"]},
        "store": {"capacity": "5GB"},
        "gateway": {
            "destinations": {
                "OLD": {"address": "h:104", "transcode": "when needed"},
                "NEW": "192.168.1.20:104",
                "AS_IS": {"address": "h:105", "transcode": "never", "tls": True},
            }
        },
        "web": {"listen": "127.0.0.1:8444"},
    }
)


def typed(**other: str) -> dict[str, str]:
    return {field.name: field.value for field in setting_fields(SETTINGS)} | other


def test_what_is_not_changed_stays() -> None:
    assert changed_settings(SETTINGS, typed()) == SETTINGS


def test_what_is_typed_counts() -> None:
    changed = changed_settings(
        SETTINGS,
        typed(
            destinations="  \nA 10.0.0.1:104\n", uplink="measured", downlink="3mbit", capacity=""
        ),
    )
    assert changed.line.uplink == "measured"
    assert changed.line.downlink == 3_000_000
    assert changed.store.capacity is None
    assert [*changed.gateway.destinations] == ["A"]
    assert changed.line.lan == SETTINGS.line.lan
    assert changed.web == SETTINGS.web
    moved = changed_settings(SETTINGS, typed(destinations="AS_IS other:105"))
    assert moved.gateway.destinations["AS_IS"].tls
    assert moved.gateway.destinations["AS_IS"].transcode == "implicit only"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("destinations", "VIEWER", "Workstations: write each"),
        ("destinations", "VIEWER h:1 perhaps", "Workstations: write each"),
        ("destinations", "VIEWER nowhere", "not an endpoint"),
        ("destinations", "x" * 17 + " h:104", "AE title"),
        ("uplink", "fast", "Uplink"),
        ("downlink", "-1", "Downlink"),
        ("capacity", "much", "Storage"),
    ],
)
def test_what_cannot_be_is_said_with_its_field(field: str, value: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        changed_settings(SETTINGS, typed(**{field: value}))


@given(st.dictionaries(st.sampled_from([*typed()]), st.text(max_size=50)))
def test_whatever_is_typed_the_rest_stays(given_texts: dict[str, str]) -> None:
    try:
        changed = changed_settings(SETTINGS, typed(**given_texts))
    except UsageError:
        return
    assert changed.web == SETTINGS.web
    assert changed.listen == SETTINGS.listen
    assert changed_settings(changed, {f.name: f.value for f in setting_fields(changed)}) == changed
