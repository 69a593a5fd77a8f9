import pytest

from p2pacs.accounts.halfway import LIFETIME, MOST, TRIES, Halfway, HalfwayStore
from p2pacs.errors import TooManyAttemptsError


def one(account: str = "anna", began: int = 0) -> Halfway:
    return Halfway(account, "hash", "10.0.0.1", "cookie", b"code", b"password", began)


def test_it_is_there_until_it_took_too_long() -> None:
    store = HalfwayStore()
    token = store.add(one())
    assert store.find(token, LIFETIME - 1) is not None
    assert store.find(token, LIFETIME) is None
    assert store.find("made up", 0) is None
    store.add(one("bert", began=LIFETIME))
    assert len(store) == 1, "what is over is not kept"


def test_so_many_codes_may_be_wrong() -> None:
    store = HalfwayStore()
    token = store.add(one())
    assert [store.wrong(token) for _ in range(TRIES)] == list(range(TRIES - 1, -1, -1))
    assert store.find(token, 0) is None
    assert store.wrong(token) == 0


def test_who_knows_one_password_pushes_out_nobody_else() -> None:
    store = HalfwayStore()
    mine = store.add(one("bert"))
    theirs = [store.add(one("anna")) for _ in range(100)]
    assert store.find(mine, 0) is not None
    assert [token for token in theirs if store.find(token, 0)] == theirs[-MOST:]
    assert len(store) == MOST + 1


def test_one_code_at_a_time() -> None:
    here = one()
    with here.alone(), pytest.raises(TooManyAttemptsError), here.alone():
        pass
    with here.alone():
        pass


def test_nothing_secret_is_printed() -> None:
    assert "hash" not in repr(one())
    assert "cookie" not in repr(one())
