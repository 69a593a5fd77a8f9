from io import StringIO

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


def test_elsewhere_nothing_is_shown() -> None:
    assert shown(terminal=False) == ""
