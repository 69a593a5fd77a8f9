from io import StringIO
from typing import Any

from rich.console import Console

from peer.commands.output.send_bars import SendBars
from tests.peer.commands.output.test_sent import study


def shown(*, terminal: bool) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=80, color_system=None)
    with SendBars(console) as bars:
        bars.found(300, 150_000_000)
        bars.moved(10, 5_000_000)
        bars.studies([study(), study(study_instance_uid="1.3", state="stored")])
        bars.away()
    return out.getvalue()


def test_what_is_shown_fits_on_a_terminal() -> None:
    text = shown(terminal=True)
    assert "10 of 300" in text
    assert "5.0 MB of" in text
    assert "study 7" in text
    assert all(
        len(line) <= 80 for line in text.replace("\r", "\n").splitlines() if "\x1b" not in line
    )


def test_elsewhere_there_is_a_line_of_each_study() -> None:
    assert shown(terminal=False).splitlines() == [
        "Study 7: on its way to the PACS",
        "Study 7: in the PACS",
    ]


def test_a_line_is_written_when_something_changes() -> None:
    def to(share: int) -> list[dict[str, Any]]:
        return [{"name": "Capital", "known": True, "whole": share == 1000, "share": share}]

    told = (
        study(recipients=to(0)),
        study(recipients=to(100)),
        study(recipients=to(1000)),
        study(recipients=to(1000), why="the PACS is away [1]"),
        study(recipients=to(1000), state="stored"),
    )
    out = StringIO()
    with SendBars(Console(file=out, width=40)) as bars:
        for one in told:
            bars.studies([one])
    assert out.getvalue().splitlines() == [
        "Study 7: on its way to the PACS; Capital has 0 %",
        "Study 7: on its way to the PACS; Capital has all",
        "Study 7: on its way to the PACS: the PACS is away [1]; Capital has all",
        "Study 7: in the PACS; Capital has all",
    ]
