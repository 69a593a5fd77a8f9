"""A small network in a temporary folder, for the tests of identity and wire."""

from datetime import timedelta
from pathlib import Path

from attrs import frozen

from p2pacs.identity.authority import MEMBER_LIFETIME, Authority
from p2pacs.identity.directory import Directory, MemberRecord, Role
from p2pacs.identity.keys import SigningKey
from p2pacs.identity.node import NodeIdentity, make_request
from p2pacs.ids import VirtualAddress


@frozen
class Network:
    folder: Path
    authority: Authority
    signing: SigningKey
    broker: NodeIdentity

    @classmethod
    def create(cls, folder: Path) -> "Network":
        authority = Authority.create(folder / "authority", "test network")
        signing = SigningKey.generate()
        address = authority.new_address()
        broker = _member(folder / "broker", authority, signing, address, address)
        return cls(folder, authority, signing, broker)

    def member(
        self,
        name: str,
        *,
        address: VirtualAddress | None = None,
        lifetime: timedelta = MEMBER_LIFETIME,
    ) -> NodeIdentity:
        mine = address or self.authority.new_address()
        folder = self.folder / name
        return _member(
            folder, self.authority, self.signing, mine, self.broker.address, lifetime=lifetime
        )

    def directory(self, *members: NodeIdentity, version: int = 1, epoch: int = 0) -> Directory:
        records = [record_of(self.broker, Role.BROKER), *map(record_of, members)]
        return Directory(version, epoch, tuple(records))


def record_of(identity: NodeIdentity, role: Role = Role.HOSPITAL) -> MemberRecord:
    return MemberRecord(
        address=identity.address,
        name=identity.name,
        role=role,
        endpoints=("127.0.0.1:4000",),
        key_hash=identity.key_hash,
        box_key=identity.box_key.public,
    )


def _member(
    folder: Path,
    authority: Authority,
    signing: SigningKey,
    address: VirtualAddress,
    broker: VirtualAddress,
    *,
    lifetime: timedelta = MEMBER_LIFETIME,
) -> NodeIdentity:
    csr = make_request(folder)
    return NodeIdentity.create(
        folder,
        name=folder.name,
        certificate=authority.issue(csr, address, folder.name, lifetime=lifetime),
        authority=authority.certificate,
        broker=broker,
        broker_key=signing.public,
    )
