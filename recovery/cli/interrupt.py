"""Ctrl-C: at once a sentence that says where things stand and how to go on, then exit status 130."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from recovery.plain import plain

STATUS = 130
"""128 and SIGINT, as shells count it."""
NOTHING = "nothing was changed. next: run the same command again"


@dataclass
class Ending:
    """What this process says when it is interrupted (nothing, if that is its usual end), and whether it has said it."""

    sentence: str = NOTHING
    told: bool = False

    def tell(self) -> None:
        """Say it, once."""
        if not self.told:
            self.told = True
            if self.sentence:
                print(f"interrupted: {plain(self.sentence)}", file=sys.stderr, flush=True)


ending = Ending()


def listen() -> None:
    """Say it when SIGINT comes, and then end what has begun. A second SIGINT ends the process."""
    signal.signal(signal.SIGINT, interrupted)


def interrupted(*_: Any) -> None:
    """Handle a signal that ends this process. Raises: KeyboardInterrupt."""
    if ending.told:
        os._exit(STATUS)
    ending.tell()
    raise KeyboardInterrupt


def rest(seconds: float) -> None:
    """Sleep between two rounds of a command that goes on until a signal. Raises: KeyboardInterrupt.

    Python loses an exception that a signal handler raises while the garbage collector runs a callback. So a signal of before
    counts here too.
    """
    if not ending.told:
        time.sleep(seconds)
    if ending.told:
        raise KeyboardInterrupt
