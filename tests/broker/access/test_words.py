import pytest

from broker.access.rules import decide, decide_for, parse_rule
from broker.access.words import why
from p2pacs.identity.directory import Role
from tests.broker.access.test_rules import CT, OLD


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("all", ["its rule is all: it may read every study"]),
        ("none", ["its rule is none: it may read no study"]),
        ("Modality=MR | Modality=CT", ["Modality=CT holds: the study has CT, SR"]),
        (
            'Modality=CT; InstitutionName="North, *"',
            [
                "Modality=CT holds: the study has CT, SR",
                'InstitutionName="North, *" holds: the study has North, General',
            ],
        ),
        (
            "AccessionNumber=1",
            ["AccessionNumber=1 does not hold: the study has no AccessionNumber"],
        ),
    ],
)
def test_what_decided_is_told(rule: str, said: list[str]) -> None:
    assert why(decide(parse_rule(rule), CT), CT) == said


def test_who_addressed_it_is_told() -> None:
    decision = decide_for(Role.HOSPITAL, parse_rule("none"), CT, addressed_by="North")
    assert decision.allowed
    assert why(decision, CT) == ["it was addressed to it by North"]


def test_of_each_alternative_the_first_condition_that_fails_is_told() -> None:
    rule = parse_rule("Modality=CT | Modality=PR; StudyDate=20260101-; PatientID=1")
    decision = decide(rule, OLD)
    assert not decision.allowed
    assert why(decision, OLD) == [
        "Modality=CT does not hold: the study has MR, PR",
        "StudyDate=20260101- does not hold: the study has no StudyDate",
    ]


def test_replicas_and_who_was_revoked_read_nothing() -> None:
    rule = parse_rule("all")
    for decision, word in (
        (decide_for(Role.REPLICA, rule, CT), "replica"),
        (decide_for(Role.HOSPITAL, rule, CT, revoked=True), "revoked"),
    ):
        assert not decision.allowed
        assert word in why(decision, CT)[0]
    assert decide_for(Role.HOSPITAL, rule, CT).allowed
