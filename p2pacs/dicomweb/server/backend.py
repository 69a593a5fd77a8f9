"""What a DICOMweb server answers from; the resources that a URL names."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence, Set
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from attrs import field, frozen

from p2pacs.dataset.json_model import Json
from p2pacs.dataset.uids import is_uid
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.errors import UsageError
from p2pacs.rendering.options import RenderOptions

_NAMES: Final = ("studies", "series", "instances")


@frozen
class Resource:
    """A study, one of its series, or an instance of that."""

    study: str = field(repr=False)
    series: str | None = field(default=None, repr=False)
    instance: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, study: str, series: str | None = None, instance: str | None = None) -> Resource:
        """The resource of these UIDs out of a URL.

        Raises:
            UsageError: one of them is no UID.
        """
        for uid in (study, series, instance):
            if uid is not None and not is_uid(uid):
                raise UsageError("the path must name UIDs: /studies/UID/series/UID/instances/UID")
        return cls(study, series, instance)

    @property
    def path(self) -> str:
        """Where it is, below the root of the services."""
        uids = (self.study, self.series, self.instance)
        pairs = zip(_NAMES, uids, strict=True)
        return "".join(f"/{name}/{uid}" for name, uid in pairs if uid is not None)


@frozen
class SearchPage:
    """The answer to a search."""

    entities: list[Json] = field(repr=False)
    """All that is known of each, in the order of the pages."""
    more: bool = False
    """Whether more match than are given."""
    unmatched: Set[str] = frozenset()
    """Tags of keys that did not count for one of the entities."""


class FrameSource(Protocol):
    """The frames of one instance."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def transfer_syntax(self) -> str:
        """In which the instance is stored."""

    @property
    def digest(self) -> bytes:
        """Of the instance: another one where anything of it is other."""

    async def read(self, frame: int) -> bytes:
        """A frame, from 1: of compressed pixel data its fragments joined, of native ones its
        bytes in little endian."""

    async def decoded(self, frame: int) -> bytes:
        """A compressed frame, from 1, as a native one."""

    async def progressive(self, frame: int) -> bytes:
        """A frame, from 1, as HTJ2K with RPCL options, coded for the client."""

    async def draw(self, frame: int, options: RenderOptions) -> bytes:
        """A frame, from 1, as a picture."""


class InstanceText(Protocol):
    """The metadata of an instance (`p2pacs.dicomweb.server.told.InstanceMetadata`)."""

    def under(self, root: str) -> bytes:
        """A JSON object, for a client that found the services at this URL."""


class InstanceOutline(Protocol):
    """What is known of an instance before it is read."""

    @property
    def sop_class_uid(self) -> str:
        """Of what kind it is."""

    @property
    def sop_instance_uid(self) -> str:
        """Which one it is."""

    @property
    def transfer_syntax_uid(self) -> str:
        """In which it is stored."""

    @property
    def size(self) -> int:
        """Bytes of its data set."""


class InstanceData(Protocol):
    """An instance that can be read now."""

    @property
    def outline(self) -> InstanceOutline:
        """Which one."""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Its data set from the first byte to the last, a large one piece by piece. If it does not
        come out as it should be, that is raised before the last piece."""

    async def read_into(self, buffer: memoryview) -> None:
        """Its data set, into a buffer of that size: what is given to a client need not be copied
        together first."""


class OpenedResource(Protocol):
    """A study, series or instance that is being read, as far as it is known."""

    @property
    def tag(self) -> str | None:
        """What changes with any of its instances; None as long as not all are known."""

    @property
    def missing(self) -> int:
        """Instances that it has and that cannot be had, by all that is known."""

    @property
    def why(self) -> str:
        """Why they cannot be had."""

    @property
    def transfer_syntaxes(self) -> list[str]:
        """In which its known instances are stored."""

    @property
    def outline(self) -> Sequence[InstanceOutline] | None:
        """Its instances without their data; None as long as not all are known."""

    def instances(self) -> AsyncGenerator[Sequence[InstanceData], None]:
        """Its instances, each as soon as it is here, one or more at once; raises why the others do
        not come."""

    def metadata(self) -> AsyncGenerator[Sequence[InstanceText], None]:
        """The same of their metadata, which are here before; one or more at once."""


class DicomwebBackend(Protocol):
    """What a server answers from. All may raise `P2PacsError`, which is the answer then."""

    async def search(self, query: SearchQuery, caller: str) -> SearchPage:
        """What matches (QIDO-RS)."""

    def open(self, resource: Resource, caller: str) -> AbstractAsyncContextManager[OpenedResource]:
        """What is retrieved as it is stored, in use as long as the context is."""

    def look(self, resource: Resource, caller: str) -> AbstractAsyncContextManager[OpenedResource]:
        """The same where no more than its headers is wanted."""

    def frames(self, resource: Resource, caller: str) -> AbstractAsyncContextManager[FrameSource]:
        """The frames of an instance, in use as long as the context is."""

    async def bulk_data(self, resource: Resource, path: Sequence[int], caller: str) -> bytes:
        """A value of an instance, little endian (`p2pacs.dataset.bulk_data`)."""
