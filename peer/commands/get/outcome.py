"""What a run of ``p2pacs get`` did: files, and what was received for them."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from p2pacs.errors import PacsDataError
from p2pacs.output.json_object import JsonObject
from p2pacs.texts import clean


@define
class GetOutcome:
    """What a run did."""

    study: str
    written: int = 0
    kept: int = 0
    transfer: JsonObject = field(factory=dict)
    """The last that was heard of the transfer."""
    whole: dict[int, str] = field(factory=dict, repr=False)
    """The files that are whole: number → SHA-256."""
    sheet: JsonObject | None = None
    """The contact sheet, if there is one."""
    left_out: int = 0
    """Instances that the PACS lists and did not give, or that cannot be in the study."""
    why: str = ""
    """Why these are missing."""
    earlier: list[JsonObject] = field(factory=list, repr=False)
    """What this run had of each transfer that another took the place of."""
    before: JsonObject | None = field(default=None, repr=False)
    """The transfer as it was when this run asked for it: what had come then came for others. None
    if a peer of the version before does not say."""

    @property
    def instances(self) -> int:
        """Instances in the folder that are whole."""
        return len(self.whole)

    def json(self) -> JsonObject:
        """The outcome as ``--json`` prints it."""
        transfers = [*self.earlier, *([self.of_this_run] if self.transfer else [])]
        sources: Counter[str] = Counter()
        for one in transfers:
            sources.update({name: source["bytes"] for name, source in one["sources"].items()})
        return {
            "study": self.study,
            "instances": self.instances,
            "written": self.written,
            "kept": self.kept,
            "bytes_received": sum(one["bytes_received"] for one in transfers),
            "seconds": round(sum(one["seconds"] for one in transfers), 3),
            "sources": dict(sources),
            **({} if self.sheet is None else {"preview": self.sheet}),
            **({"left_out": self.left_out, "why": self.why} if self.left_out else {}),
        }

    def check(self) -> None:
        """Whether these are all instances that the PACS has.

        Raises:
            PacsDataError: some are missing.
        """
        if self.left_out:
            which = "one instance is" if self.left_out == 1 else f"{self.left_out} instances are"
            raise PacsDataError(f"{which} missing: the PACS did not give all ({clean(self.why)})")

    @property
    def of_this_run(self) -> JsonObject:
        """The transfer, with what came and the time that passed since this run asked for it."""
        return since(self.transfer, self.before)

    def heard(self, transfer: JsonObject) -> JsonObject:
        """The transfer as the peer tells of it now; what this run has of it."""
        last = self.transfer or self.before
        if last and transfer["seconds"] < last["seconds"]:  # it was begun anew
            self.interrupted()
        self.transfer = transfer
        return self.of_this_run

    def interrupted(self) -> None:
        """The peer stopped, or began another transfer: what it counts begins anew."""
        if self.transfer:
            self.earlier.append(self.of_this_run)
        self.transfer, self.before = {}, None


def since(transfer: JsonObject, before: JsonObject | None) -> JsonObject:
    """A transfer less what it had received, and how long it had taken, at an earlier look."""
    if before is None:
        return transfer
    counted = {name: source["bytes"] for name, source in before["sources"].items()}
    sources = {
        name: {**source, "bytes": source["bytes"] - counted.get(name, 0)}
        for name, source in transfer["sources"].items()
    }
    return {
        **transfer,
        "bytes_received": transfer["bytes_received"] - before["bytes_received"],
        "seconds": round(transfer["seconds"] - before["seconds"], 3),
        "sources": {name: one for name, one in sources.items() if one["bytes"] or one["in_flight"]},
    }
