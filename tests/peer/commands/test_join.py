import hashlib
from pathlib import Path

import msgpack
import pytest
import trio

from p2pacs.errors import (
    AuthenticationError,
    MalformedMessageError,
    StateError,
    UnavailableError,
    UsageError,
)
from p2pacs.identity import certificates
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.directory import Directory, MemberRecord, Role, sign_directory
from p2pacs.identity.keys import Secret
from p2pacs.identity.node import NodeIdentity
from p2pacs.identity.token import Token
from p2pacs.ids import VirtualAddress
from p2pacs.settings import LineSettings
from p2pacs.store import open_store
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import MEASURED, Endpoint
from p2pacs.wire.messages.messages import Enrolled, EnrolQuery
from peer.commands.join import AssignedSettings, JoinOptions, join, settings_for
from peer.config import IDENTITY, DestinationSettings, load_peer_settings
from tests.components import free_port
from tests.p2pacs.identity.network import Network, record_of

LISTEN = (Endpoint("127.0.0.1", 4711),)


def test_only_what_was_said_is_written_and_that_the_uplink_is_measured() -> None:
    settings = settings_for(JoinOptions(listen=LISTEN), AssignedSettings("hospital-a", None, None))
    assert settings.model_fields_set == {"name", "listen", "line"}
    assert settings.line == LineSettings(uplink=MEASURED)


def test_what_the_operator_says_of_the_line_comes_before_measuring_it() -> None:
    more = {"line": {"uplink": "800kbit", "lan": ["10.1.0.0/16"]}}
    settings = settings_for(JoinOptions(LISTEN, more=more), AssignedSettings("a", None, 3_000_000))
    assert settings.line.uplink == 800_000
    assert settings.line.downlink == 3_000_000
    more["line"].pop("uplink")
    settings = settings_for(JoinOptions(LISTEN, more=more), AssignedSettings("a", None, None))
    assert settings.line.uplink == MEASURED
    assert settings.line.lan


def test_the_registration_sets_the_rates() -> None:
    wishes = JoinOptions(
        LISTEN,
        advertise=(Endpoint("10.0.0.1", 1), Endpoint("hospital.example", 2)),
        aet="HOSPA",
        dicom=Endpoint("127.0.0.1", 11112),
        api=Endpoint("127.0.0.1", 9000),
        web=Endpoint("10.0.0.2", 8443),
        workstations={"VIEWER": Endpoint("10.0.0.9", 104)},
    )
    settings = settings_for(wishes, AssignedSettings("hospital-a", 800_000, 3_000_000))
    assert settings.line == LineSettings(uplink=800_000, downlink=3_000_000)
    assert settings.gateway.destinations == {
        "VIEWER": DestinationSettings(address=Endpoint("10.0.0.9", 104))
    }
    assert settings.aet == "HOSPA"
    assert settings.web.listen == Endpoint("10.0.0.2", 8443)
    assert settings.web.secure
    assert len(settings.advertise) == 2


@pytest.mark.parametrize(
    ("wishes", "complaint"),
    [
        (JoinOptions(LISTEN, aet="MUCH TOO LONG A TITLE"), "aet: an AE title"),
        (JoinOptions(LISTEN, api=Endpoint("0.0.0.0", 80)), "loopback"),  # noqa: S104
        (JoinOptions(()), "listen: "),
        (JoinOptions(LISTEN, workstations={"A\\B": LISTEN[0]}), "destinations"),
    ],
)
def test_wishes_that_cannot_be(wishes: JoinOptions, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        settings_for(wishes, AssignedSettings("a", None, None))


@pytest.mark.parametrize(
    "said",
    [b"", b"\xc1", 5, [], {}, {"name": ""}, {"name": 5}, {"name": "a", "uplink": "fast"},
     {"name": "a", "downlink": 0}],
)  # fmt: skip
def test_a_registration_that_is_none(said: object) -> None:
    raw = said if isinstance(said, bytes) else msgpack.packb(said)
    with pytest.raises(MalformedMessageError):
        AssignedSettings.decode(raw)


def test_a_registration_of_a_later_version() -> None:
    said = {"name": "a", "role": "hospital", "uplink": 5, "downlink": None, "hours": "nights"}
    assert AssignedSettings.decode(msgpack.packb(said)) == AssignedSettings("a", 5, None)


SECRET = Secret(b"0123456789abcdef")


class AdmittingBroker:
    """A broker that admits one member called north, with 800 kbit/s of uplink."""

    def __init__(self, folder: Path) -> None:
        self.network = Network.create(folder)
        self.endpoint = Endpoint("127.0.0.1", free_port())
        self.asked = 0

    @property
    def token(self) -> str:
        pin = hashlib.sha256(self.network.authority.certificate).digest()
        return Token(self.network.broker.address, (str(self.endpoint),), pin, SECRET).encode()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        broker = self.network.broker
        book = DirectoryBook(broker.folder / FILE, broker.broker_key)
        book.update(sign_directory(self.network.directory(), self.network.signing))
        async with open_store(broker.folder / "store") as store:
            node = Node(broker, book, store, Line(), Services(), [self.endpoint], self.admit)
            async with trio.open_nursery() as nursery:
                await nursery.start(node.run)
                task_status.started()

    async def admit(self, query: EnrolQuery) -> Enrolled:
        self.asked += 1
        if self.asked > 1 or query.secret != SECRET.reveal():
            raise AuthenticationError("this token is spent; ask for a new one")
        network, address = self.network, self.network.authority.new_address()
        key_hash = certificates.requested_key_hash(query.csr)
        new = MemberRecord(
            address, "north", Role.HOSPITAL, tuple(query.endpoints), key_hash, query.box_key
        )
        directory = Directory(2, 0, (record_of(network.broker, Role.BROKER), new))
        settings = {"name": "north", "role": "hospital", "uplink": 800_000, "downlink": None}
        return Enrolled(
            query.id,
            network.authority.issue(query.csr, address, "north"),
            network.authority.certificate,
            network.signing.public.raw,
            sign_directory(directory, network.signing),
            msgpack.packb(settings),
        )


async def test_a_token_becomes_a_folder(tmp_path: Path, nursery: trio.Nursery) -> None:
    broker = AdmittingBroker(tmp_path / "network")
    await nursery.start(broker.run)
    folder = tmp_path / "north"
    wishes = JoinOptions(LISTEN, advertise=(Endpoint("10.0.0.1", 4711),))
    joined = await join(folder, broker.token, wishes)
    settings = joined.settings
    assert joined.role == "hospital"
    assert load_peer_settings(folder) == settings
    assert settings.name == "north"
    assert settings.line.uplink == 800_000
    identity = NodeIdentity.load(folder / IDENTITY)
    book = DirectoryBook(identity.folder / FILE, identity.broker_key)
    member = book.directory.get(identity.address)
    assert member is not None
    assert member.endpoints == ("10.0.0.1:4711",)

    with pytest.raises(StateError, match="already joined"):
        await join(folder, broker.token, wishes)
    with pytest.raises(AuthenticationError, match="spent"):
        await join(tmp_path / "far" / "other", broker.token, wishes)
    assert not (tmp_path / "far").exists()


async def test_wishes_are_checked_before_the_token_is_spent(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    broker = AdmittingBroker(tmp_path / "network")
    await nursery.start(broker.run)
    with pytest.raises(UsageError, match="aet"):
        await join(tmp_path / "north", broker.token, JoinOptions(LISTEN, aet="A\\B"))
    assert not broker.asked


async def test_a_token_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="token"):
        await join(tmp_path / "north", "p2pacs1-xyz", JoinOptions(LISTEN))
    assert not (tmp_path / "north").exists()


async def test_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(StateError, match=r"holds other files \(letter\.txt\)"):
        await join(tmp_path, "p2pacs1-xyz", JoinOptions(LISTEN))
    assert tmp_path.stat().st_mode & 0o777 == 0o755


async def test_a_broker_that_is_not_there_is_named_as_the_token_s(tmp_path: Path) -> None:
    endpoint = f"127.0.0.1:{free_port()}"
    token = Token(VirtualAddress.parse("fd00::1"), (endpoint,), bytes(32), Token.new_secret())
    with pytest.raises(UnavailableError, match="token says that the broker is at") as caught:
        await join(tmp_path / "north", token.encode(), JoinOptions(LISTEN))
    assert endpoint in str(caught.value)
    assert "join again with the same token" in str(caught.value)
    assert not (tmp_path / "north").exists()


def test_the_role_comes_with_the_settings() -> None:
    said = {"name": "r1", "role": "replica"}
    assert AssignedSettings.decode(msgpack.packb(said)).role == "replica"
    assert AssignedSettings.decode(msgpack.packb({"name": "r1"})).role == "hospital"
    with pytest.raises(MalformedMessageError):
        AssignedSettings.decode(msgpack.packb({**said, "role": 7}))


def test_further_settings_stand_beside_the_options() -> None:
    more = {"web": {"tls": "off"}, "gateway": {"fuzzy_names": True}, "aet": "FILE"}
    wishes = JoinOptions(
        listen=LISTEN, aet="OPTION", web=Endpoint("h", 1), workstations={"W": LISTEN[0]}, more=more
    )
    settings = settings_for(wishes, AssignedSettings("a", 800_000, None))
    assert (settings.aet, settings.line.uplink) == ("OPTION", 800_000)
    assert (settings.web.tls, settings.web.listen) == ("off", Endpoint("h", 1))
    assert (settings.gateway.fuzzy_names, set(settings.gateway.destinations)) == (True, {"W"})
    with pytest.raises(UsageError, match="no such setting"):
        settings_for(JoinOptions(LISTEN, more={"wep": {}}), AssignedSettings("a", None, None))
