"""Studies with where they are in the network, as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from attrs import frozen

from broker.database.db import BrokerDatabase
from broker.database.study_facts import StudyFacts, facts_of
from broker.members import registry
from broker.pages.content import StudyKnowledge
from broker.pages.studies.sent_studies import SentOnPage, read_sent
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.ids import VirtualAddress
from p2pacs.languages import N_, _, ngettext
from p2pacs.pages.search.found_studies import ListedStudy
from p2pacs.publish import PublishProgress
from p2pacs.texts import clean


@frozen
class StudyCopy:
    """A member that has a study, or soon will."""

    address: VirtualAddress
    name: str
    role: str
    whole: bool | None
    """None: it was given the study, and has not told yet that it fetches it."""

    @property
    def words(self) -> str:
        """How much of it is there."""
        if self.whole is None:
            return N_("is about to fetch it")
        return N_("has all of it") if self.whole else N_("has a part of it, or fetches it")


@frozen
class NetworkStudy(ListedStudy):
    """One study, and where it is in the network."""

    facts: StudyFacts
    copies: Sequence[StudyCopy]
    size: int | None
    """Bytes of chunks in the broker's own store; None: nothing is there."""
    progress: PublishProgress | None
    sent: SentOnPage | None = None
    """Who sends it, and to whom, where a hospital does."""

    @property
    def whole(self) -> int:
        """Members that hold all of it, beside the broker."""
        return sum(copy.whole is True for copy in self.copies)

    @property
    def badge(self) -> tuple[str, str]:
        """Class and words of what matters most about it."""
        if self.progress is not None and not self.progress.over:
            return "coming", N_("Being published")
        if self.progress is not None and self.progress.problem is not None:
            incomplete = self.facts.version > 0
            return ("paused", N_("Incomplete")) if incomplete else ("failed", N_("Not published"))
        if not self.facts.version:
            return "", N_("In the PACS alone")
        return ("here", N_("Published")) if self.facts.complete else ("paused", N_("Incomplete"))

    @property
    def copy_words(self) -> str:
        """Where copies are, in short."""
        parts = len(self.copies) - self.whole
        said = []
        if self.size is not None:
            said.append(_("broker"))
        if self.whole:
            said.append(ngettext("%(num)s member in whole", "%(num)s members in whole", self.whole))
        if parts:
            said.append(_("%(count)s in part", count=parts))
        return ", ".join(said)


@frozen
class NetworkListing:
    """Puts together what catalogue, database and the running broker know."""

    database: BrokerDatabase
    known: StudyKnowledge

    async def rows(self, records: Sequence[StudyRecord]) -> list[NetworkStudy]:
        """These studies with where they are."""
        wanted = [record.study for record in records]
        facts = await self.database.run(partial(facts_of, wanted=wanted))
        names = await self.members()
        read = partial(read_sent, studies=wanted, members=names)
        sent = await self.database.run(read)
        return [self._row(one, facts[one.study], names, sent.get(one.study)) for one in records]

    async def members(self) -> Mapping[VirtualAddress, registry.Member]:
        """All members by their addresses."""
        listed = await self.database.run(registry.list_members)
        return {member.address: member for member in listed}

    def _row(
        self,
        record: StudyRecord,
        facts: StudyFacts,
        names: Mapping[VirtualAddress, registry.Member],
        sent: SentOnPage | None,
    ) -> NetworkStudy:
        here = self.known.here(record.study)
        copies = []
        for address, whole in self.known.copies(record.study):
            member = names.get(address)
            name, role = (clean(member.name), member.role.value) if member else (_("unknown"), "")
            copies.append(StudyCopy(address, name, role, whole))
        return NetworkStudy(
            record.study,
            record.uid,
            study_view(record),
            facts,
            copies,
            None if here is None else here.bytes,
            self.known.publications.get(record.study),
            sent,
        )
