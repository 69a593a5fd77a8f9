"""What enumerations and libraries bring to pages is marked, so that it is translated."""

from http import HTTPStatus

import pytest
from attrs import evolve

from broker.admins.roles import AdminRole
from p2pacs.identity.directory import Role
from p2pacs.languages import said, speaking
from p2pacs.languages.kept_words import PHRASES, ROLES, STATES, TRAIL
from peer.accounts.rights import UserRole
from tests.broker.handlers.test_reported_reads import NORTH


def test_every_role_is_marked() -> None:
    assert {str(one) for kind in (Role, UserRole, AdminRole) for one in kind} == set(ROLES)


def test_every_state_of_a_member_is_marked() -> None:
    told = {
        evolve(NORTH, revoked=1).state(5),
        evolve(NORTH, joined=None, token_expires=9).state(5),
        evolve(NORTH, linked=False, certificate_expires=1).state(5),
        evolve(NORTH, linked=False, certificate_expires=9).state(5),
        NORTH.state(5),
    }
    assert told == set(STATES)


def test_phrases_are_those_of_http() -> None:
    assert set(PHRASES) <= {one.phrase for one in HTTPStatus}


@pytest.mark.parametrize("language", ["de", "es", "pt"])
def test_all_of_them_are_translated(language: str) -> None:
    for some in (ROLES, STATES, TRAIL, PHRASES):
        with speaking(language):
            there = [said(word) for word in some]
        assert all(there)
        assert there != list(some)  # a word may be the same there; a list of them is not
        assert [said(word) for word in some] == list(some)
