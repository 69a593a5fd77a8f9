from sqlalchemy import Connection, select

from p2pacs.accounts.people import add_account, remove_account
from p2pacs.accounts.preferences import set_language
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.tables import preferences
from tests.p2pacs.accounts.conftest import CHEAP, MemoryDatabase, database

__all__ = ["database"]

SESSIONS = Sessions(10**6, 10**6)


async def test_the_session_knows_the_language(database: MemoryDatabase) -> None:
    def work(connection: Connection) -> list[str]:
        for name in ("rita", "otto"):
            add_account(connection, name, "a password of some length", "administrator", CHEAP)
        tokens = [SESSIONS.start(connection, name) for name in ("rita", "otto")]
        heard = []
        for language in ("de", "pt", ""):
            set_language(connection, "rita", language)
            for token in tokens:
                session = SESSIONS.find(connection, token)
                assert session is not None
                heard.append(session.language)
        return heard

    assert await database.run(work) == ["de", "", "pt", "", "", ""]


async def test_with_the_account_it_is_forgotten(database: MemoryDatabase) -> None:
    def work(connection: Connection) -> int:
        for name in ("rita", "otto"):
            add_account(connection, name, "a password of some length", "administrator", CHEAP)
            set_language(connection, name, "de")
        remove_account(connection, "rita")
        return len(connection.execute(select(preferences)).all())

    assert await database.run(work) == 1
