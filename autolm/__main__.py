"""What the command `autolm` starts, and `python -m autolm`.

Ctrl-C is one line and exit code 130 from the first moment to the last. While the command is loaded
and while its process ends there is nothing to tidy up: so it ends at once. In between, it is an
exception like any other, and `autolm.cli` tells of it.
"""

import atexit
import os
import signal
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"autolm: interrupted\n")
    os._exit(130)


def main() -> None:
    """Run the command, and end the process."""
    usual = signal.getsignal(signal.SIGINT)
    is_heeded = usual is signal.default_int_handler  # it is not, in a shell's background
    if is_heeded:
        signal.signal(signal.SIGINT, _leave)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # the last that is done
    from autolm.cli import main as command

    try:
        signal.signal(signal.SIGINT, usual)
        command()
    except KeyboardInterrupt:
        _leave(signal.SIGINT, None)
    finally:
        if is_heeded:
            signal.signal(signal.SIGINT, _leave)


if __name__ == "__main__":
    main()
