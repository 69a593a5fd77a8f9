"""What the demo found, and its form as JSON.

python -m scripts.report FILE    checks that FILE holds what `scripts/demo --json` printed
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TransferReport(_Model):
    """One hospital's fetch of the study."""

    peer: str
    seconds: float = Field(gt=0)
    """From the workstation's C-MOVE to its last answer."""
    bytes_received: int = Field(gt=0)
    """Chunks that came over the network."""
    sources: dict[str, int]
    """Bytes from each uploader by name."""


class Report(_Model):
    """The whole demo."""

    study: str
    instances: int = Field(gt=0)
    bytes: int = Field(gt=0)
    """Of the data sets, as loaded."""
    exact: bool
    """Every data set came out of every gateway with the SHA-256 that it was loaded with."""
    transfers: list[TransferReport] = Field(min_length=1)
    one_uplink_seconds: float = Field(gt=0)
    """The same study to a fresh hospital from one replica alone."""

    @property
    def speed_up(self) -> float:
        """How much faster the first hospital was than one uplink."""
        return self.one_uplink_seconds / self.transfers[0].seconds


class SendReport(_Model):
    """The demo of a study that a hospital sends."""

    instances: int = Field(gt=0)
    bytes: int = Field(gt=0)
    """Of the data sets, as the scanner sent them."""
    coded_bytes: int = Field(gt=0)
    """Of the chunks that they became."""
    sent_bytes: int = Field(gt=0)
    """Of the chunks that left the hospital's uplink, to whomever."""
    exact: bool
    """PACS and reader have every data set with the SHA-256 that it was sent with."""
    scanner_seconds: float = Field(gt=0)
    """From the scanner's first byte, as all that follow: until the hospital had taken all."""
    preview_seconds: float = Field(gt=0)
    """Until the reader could look at something."""
    reader_seconds: float = Field(gt=0)
    """Until the reader had every instance."""
    pacs_seconds: float = Field(gt=0)
    """Until the PACS had every instance."""
    c_store_seconds: float = Field(gt=0)
    """That the same study takes by one C-STORE over an uplink of that rate, to one PACS alone."""

    @property
    def both_seconds(self) -> float:
        """Until reader and PACS had it."""
        return max(self.reader_seconds, self.pacs_seconds)

    @property
    def speed_up(self) -> float:
        """How much sooner two had it than one by C-STORE."""
        return self.c_store_seconds / self.both_seconds


def check(text: str) -> Report:
    """The report in what the demo printed.

    Raises:
        ValueError: not this form, or sources that do not add up to what was received.
    """
    report = Report.model_validate_json(text)
    for transfer in report.transfers:
        if sum(transfer.sources.values()) != transfer.bytes_received:
            raise ValueError(f"{transfer.peer}: the sources do not add up to bytes_received")
    if not report.exact:
        raise ValueError("not every data set came out identical")
    return report


def main() -> int:
    """The command line: exit code 0 only for a demo that went well."""
    try:
        report = check(Path(sys.argv[1]).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError, json.JSONDecodeError) as error:
        print(f"not a good result of the demo: {error}", file=sys.stderr)
        return 1
    print(f"demo: {report.instances} instances exact, {report.speed_up:.2f} times one uplink")
    return 0


if __name__ == "__main__":
    sys.exit(main())
