"""Where the program begins: Ctrl-C ends it quietly, while the commands are being read, too."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command of this process and exit with its code.

    Reading the code of the commands takes some tenths of a second. Python would answer a Ctrl-C
    meanwhile with a traceback; the system's own way is to end the process.
    """
    # Ignored it stays: whoever started this in the background (``nohup``) said so.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from p2pacs.process import heap  # noqa: PLC0415

    with heap.loading():
        from p2pacs import front  # noqa: PLC0415 - with all that it imports

    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        front.main()
    except KeyboardInterrupt:
        raise SystemExit(front.INTERRUPTED) from None
    finally:
        if is_ours:  # the interpreter takes its time to end, too
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
