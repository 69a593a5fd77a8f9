import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access.send_rules import SendRule, parse_send_rule
from p2pacs.errors import UsageError

titles = st.from_regex(r"[A-Z][A-Z0-9_ -]{0,13}[A-Z0-9]", fullmatch=True).filter(
    lambda title: title.lower() not in ("all", "none")
)


def test_all_and_none() -> None:
    assert parse_send_rule(" All ").denial([]) is None
    assert parse_send_rule("all").denial(["CT1"]) is None
    assert parse_send_rule("none").denial(["CT1"]) == "its rule is none"
    assert parse_send_rule("none").denial([]) == "its rule is none"
    assert (str(parse_send_rule("ALL")), str(parse_send_rule("None"))) == ("all", "none")


def test_every_instance_must_come_from_one_of_the_titles() -> None:
    rule = parse_send_rule("CT1, MR1")
    assert rule.denial(["CT1"]) is None
    assert rule.denial(["MR1", "CT1"]) is None
    assert rule.denial(["CT1", "CT2"]) == "CT2 is not among CT1,MR1"
    assert rule.denial([]) == "it is not said from which AE title it came"


def test_a_refusal_names_a_few_titles() -> None:
    rule = parse_send_rule("A1,B1,C1,D1,E1")
    assert rule.denial(["Z1", "Y1"]) == "Y1 is not among A1,B1,C1,D1,..."


@given(st.sets(titles, min_size=1, max_size=8))
def test_a_rule_comes_back(names: set[str]) -> None:
    rule = SendRule(titles=frozenset(names))
    assert parse_send_rule(str(rule)) == rule


@given(st.text(max_size=80))
def test_any_text_is_a_rule_or_refused_with_words(text: str) -> None:
    try:
        rule = parse_send_rule(text)
    except UsageError:
        return
    assert parse_send_rule(str(rule)) == rule


MANY = ",".join(f"CT{number}" for number in range(65))


@pytest.mark.parametrize("text", ["", "CT1,", "A" * 17, "CT\\1", "CT1\nMR1", "Ü", MANY])
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(UsageError):
        parse_send_rule(text)
