import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from peer.commands.keys import add_keys, check_date

NAMES = ("patient_id", "patient_name", "study_date")
VALUES = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1)


def test_lines_are_added_to_options() -> None:
    text = "\n--patient-name= Doe^John=J \r\n\nstudy-date=\n"
    assert add_keys({"patient_id": "P1"}, text, NAMES) == {
        "patient_id": "P1",
        "patient_name": "Doe^John=J",
    }


@pytest.mark.parametrize("text", ["Doe^Jane", "name=Doe^Jane", "patient-id=Doe^Jane", "=Doe^Jane"])
def test_what_is_no_key_is_named_by_its_line_alone(text: str) -> None:
    with pytest.raises(UsageError, match="keys, line 2: ") as refused:
        add_keys({"patient_id": "P1"}, f"\n{text}", NAMES)
    assert "Doe" not in str(refused.value)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_all_keys_come_through(keys: dict[str, str]) -> None:
    text = "\n".join(f"{name.replace('_', '-')}={value}" for name, value in keys.items())
    assert add_keys({}, text, NAMES) == keys


@given(st.text())
def test_any_text_is_keys_or_refused(text: str) -> None:
    try:
        keys = add_keys({}, text, NAMES)
    except UsageError:
        return
    assert set(keys) <= set(NAMES)


@pytest.mark.parametrize(
    "value", ["", "*", "20260131", "20260101-20260131", "20260101-", "-20260131", "2026.01.31"]
)
def test_dates_as_dicom_writes_them(value: str) -> None:
    check_date(value)


@pytest.mark.parametrize("value", ["2026-01-10", "today", "20260101-x", "2026*", "20260131\\x"])
def test_what_is_no_date(value: str) -> None:
    with pytest.raises(UsageError, match="--study-date") as caught:
        check_date(value)
    assert value not in str(caught.value)
