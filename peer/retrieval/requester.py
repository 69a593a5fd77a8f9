"""Who reads a study here."""

from __future__ import annotations

from attrs import frozen

from p2pacs.swarm.scheduling.priority import Priority


@frozen
class Requester:
    """Somebody who reads a study, what for and how urgently."""

    caller: str
    """For the audit: an AE title, somebody's account, or ``command``."""
    purpose: str
    """For the broker's audit: ``move``, ``get``, ``view`` or ``command``."""
    priority: Priority = Priority.INTERACTIVE
    detail: str | None = None
    """For this peer's audit; None if there is no more to say than the purpose."""

    @classmethod
    def of_person(
        cls, account: str, what: str, priority: Priority = Priority.INTERACTIVE
    ) -> Requester:
        """Somebody who is signed in to this hospital's pages.

        Args:
            account: the name of the account, which the broker's audit tells.
            what: in a word or two: ``looked at``, ``fetched``.
            priority: how urgently.
        """
        # No workstation's AE title can pass for a person: what they ask for is said otherwise.
        return cls(account, "get", priority, f"{what} on the page")

    @property
    def audited(self) -> str:
        """What the audit says: also the priority, where it is not the ordinary one."""
        said = self.detail or self.purpose
        if self.priority is Priority.INTERACTIVE:
            return said
        return f"{said}, {self.priority.name.lower()}"
