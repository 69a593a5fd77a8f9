from pathlib import Path

from sqlalchemy import Connection

from broker.commands.status import BrokerStatus, read_status, status_facts, status_json
from broker.config import DATABASE, LOCK, STORE
from broker.database.db import connect, now
from broker.database.pacs_state import note_look
from broker.members import presence, registry
from broker.setup import found
from p2pacs.errors import PacsUnreachableError
from p2pacs.files.locks import locked
from p2pacs.identity.directory import Role
from tests.broker.pages.conftest import PASSWORD, settings


def test_a_broker_is_seen_from_its_folder(tmp_path: Path) -> None:
    folder, given = tmp_path / "broker", settings()
    keys = found(folder, given, network="a network", admin="admin", password=PASSWORD)
    me, database = keys.identity.address, connect(folder / DATABASE)

    def status() -> BrokerStatus:
        return read_status(folder, given, database, me)

    rows = dict(status_facts(folder, status()).rows)
    assert rows["Runs"] == f"no: start it with p2pacs broker run {folder}"
    assert rows["PACS"].startswith("When the broker last ran: ")
    assert rows["Members"] == "0, 0 linked"
    assert (status().used, status_json(status())["pacs"]["last_look"]) == (0, None)
    addresses = [keys.authority.new_address() for _ in range(3)]

    def join(connection: Connection) -> None:
        for name, address in zip(("North", "South", "Gone"), addresses, strict=True):
            one = registry.Registration(name, Role.HOSPITAL, None, None, "all")
            registry.register(connection, address, one, token_milliseconds=1000)
            presence.seen(connection, me, address, linked=True)
        registry.revoke(connection, addresses[-1])

    database.transact(join)
    database.transact(lambda c: note_look(c, me, PacsUnreachableError("it is away"), 4))
    (folder / STORE).mkdir()
    (folder / STORE / "chunks").write_bytes(bytes(range(256)) * 64)
    assert status().linked == 0  # it was killed
    with locked(folder / LOCK, "taken"):
        running = status()
    said = status_json(running)
    assert said["running"]
    assert said["members"] == {"count": 2, "linked": 2}
    assert (said["pacs"]["state"], said["pacs"]["why"]) == ("away", "it is away")
    assert said["pacs"]["studies"] == 4
    assert said["pacs"]["address"] == "dimse://PACS@127.0.0.1:104"
    assert said["store"]["used"] >= 16_384
    assert (said["listen"], said["web"]) == (["127.0.0.1:4710"], "http://127.0.0.1:8443")
    rows = dict(status_facts(folder, running).rows)
    assert rows["Runs"] == "yes"
    assert rows["PACS"].startswith("dimse://PACS@127.0.0.1:104 does not answer as it should, since")
    assert "AE title P2PACS" in rows["PACS"]


def test_no_password_of_the_pacs_is_shown(tmp_path: Path) -> None:
    given = settings().model_copy(update={"pacs": "dicomweb+http://anna:secret@pacs:80/root"})
    keys = found(tmp_path / "b", given, network="a network", admin="admin", password=PASSWORD)
    database = connect(tmp_path / "b" / DATABASE)
    database.transact(lambda c: note_look(c, keys.identity.address, None, 1))
    status = read_status(tmp_path / "b", given, database, keys.identity.address)
    assert status.pacs.looked is not None
    assert status.pacs.looked <= now()
    shown = f"{status_json(status)} {status_facts(tmp_path, status).rows}"
    assert "dicomweb+http://pacs:80/root answers" in shown
    assert "secret" not in shown
